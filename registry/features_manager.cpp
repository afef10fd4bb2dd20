// SPDX-License-Identifier: Apache-2.0
#include "registry/features_manager.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "core/definition/sentence_modules.hpp"
#include "core/error.hpp"

namespace onnxport {
namespace {

constexpr std::string_view with_past = "-with-past";

struct NamePair {
  std::string_view name;
  std::string_view feature;
};

// Source: FeaturesManager._TASKS_TO_AUTOMODELS, transformers 4.30; below the line, further auto classes of
// the library.
constexpr auto model_classes = std::to_array<NamePair>({
    {"default", "AutoModel"},
    {"masked-lm", "AutoModelForMaskedLM"},
    {"causal-lm", "AutoModelForCausalLM"},
    {"seq2seq-lm", "AutoModelForSeq2SeqLM"},
    {"sequence-classification", "AutoModelForSequenceClassification"},
    {"token-classification", "AutoModelForTokenClassification"},
    {"multiple-choice", "AutoModelForMultipleChoice"},
    {"object-detection", "AutoModelForObjectDetection"},
    {"question-answering", "AutoModelForQuestionAnswering"},
    {"image-classification", "AutoModelForImageClassification"},
    {"image-segmentation", "AutoModelForImageSegmentation"},
    {"masked-im", "AutoModelForMaskedImageModeling"},
    {"semantic-segmentation", "AutoModelForSemanticSegmentation"},
    {"vision2seq-lm", "AutoModelForVision2Seq"},
    {"speech2seq-lm", "AutoModelForSpeechSeq2Seq"},
    // ----
    {"ctc", "AutoModelForCTC"},
    {"audio-classification", "AutoModelForAudioClassification"},
    {"audio-frame-classification", "AutoModelForAudioFrameClassification"},
    {"audio-to-audio", "AutoModel"},
    {"audio-xvector", "AutoModelForAudioXVector"},
    {"depth-estimation", "AutoModelForDepthEstimation"},
    {"document-question-answering", "AutoModelForDocumentQuestionAnswering"},
    {"backbone", "AutoBackbone"},
    {"image-matting", "AutoModelForImageMatting"},
    {"image-to-image", "AutoModelForImageToImage"},
    {"keypoint-detection", "AutoModelForKeypointDetection"},
    {"mask-generation", "AutoModelForMaskGeneration"},
    {"next-sentence-prediction", "AutoModelForNextSentencePrediction"},
    {"pretraining", "AutoModelForPreTraining"},
    {"sentence-embedding", "AutoModel"},
    {"text-to-audio", "AutoModelForTextToWaveform"},
    {"time-series-forecasting", "AutoModelForTimeSeriesPrediction"},
    {"universal-segmentation", "AutoModelForUniversalSegmentation"},
    {"visual-question-answering", "AutoModelForVisualQuestionAnswering"},
    {"zero-shot-image-classification", "AutoModelForZeroShotImageClassification"},
    {"zero-shot-object-detection", "AutoModelForZeroShotObjectDetection"},
});

// A later task name and its feature; one with several features stands in several rows, the likeliest first.
constexpr auto aliases = std::to_array<NamePair>({
    {"feature-extraction", "default"},
    {"sentence-similarity", "default"},
    {"fill-mask", "masked-lm"},
    {"text-generation", "causal-lm"},
    {"text2text-generation", "seq2seq-lm"},
    {"summarization", "seq2seq-lm"},
    {"translation", "seq2seq-lm"},
    {"text-classification", "sequence-classification"},
    {"zero-shot-classification", "sequence-classification"},
    {"text-ranking", "sequence-classification"},
    {"reranking", "sequence-classification"},
    {"ner", "token-classification"},
    {"image-to-text", "vision2seq-lm"},
    {"image-text-to-text", "vision2seq-lm"},
    {"text-to-speech", "text-to-audio"},
    {"automatic-speech-recognition", "speech2seq-lm"},
    {"automatic-speech-recognition", "ctc"},
    {"audio-ctc", "ctc"},
    {"masked-image-modeling", "masked-im"},
});

// Endings of class names; an empty feature says that the ending tells nothing, although a shorter one would.
constexpr auto endings = std::to_array<NamePair>({
    {"ForMaskedLM", "masked-lm"},
    {"ForCausalLM", "causal-lm"},
    {"LMHeadModel", "causal-lm"},
    {"WithLMHeadModel", ""},  // masked and causal models are called so
    {"HeadsModel", ""},
    {"DoubleHeadsModel", "double-heads"},
    {"ForPreTraining", "masked-lm"},  // what such a checkpoint is downloaded for
    {"ForPreTraining", "pretraining"},
    {"ForConditionalGeneration", "seq2seq-lm"},
    {"ForConditionalGeneration", "speech2seq-lm"},
    {"ForConditionalGeneration", "vision2seq-lm"},
    {"MTModel", "seq2seq-lm"},
    {"ForSequenceClassification", "sequence-classification"},
    {"ForTokenClassification", "token-classification"},
    {"ForMultipleChoice", "multiple-choice"},
    {"ForQuestionAnswering", "question-answering"},
    {"ForQuestionAnsweringSimple", "question-answering"},
    {"ForNextSentencePrediction", "next-sentence-prediction"},
    {"ForImageClassification", "image-classification"},
    {"ForObjectDetection", "object-detection"},
    {"ForImageSegmentation", "image-segmentation"},
    {"ForInstanceSegmentation", "image-segmentation"},
    {"ForUniversalSegmentation", "universal-segmentation"},
    {"ForSegmentation", "image-segmentation"},
    {"ForSemanticSegmentation", "semantic-segmentation"},
    {"ForMaskedImageModeling", "masked-im"},
    {"ForDepthEstimation", "depth-estimation"},
    {"ForCTC", "ctc"},
    {"ForSpeechSeq2Seq", "speech2seq-lm"},
    {"ForVision2Seq", "vision2seq-lm"},
    {"ForAudioClassification", "audio-classification"},
    {"ForAudioFrameClassification", "audio-frame-classification"},
    {"ForXVector", "audio-xvector"},
    {"ForZeroShotObjectDetection", "zero-shot-object-detection"},
    {"ForImageMatting", "image-matting"},
    {"ForImageSuperResolution", "image-to-image"},
    {"ForKeypointDetection", "keypoint-detection"},
    {"ForPoseEstimation", "keypoint-detection"},
    {"Backbone", "backbone"},
    {"ForTextToSpeech", "text-to-audio"},
    {"ForSpeechToSpeech", "audio-to-audio"},
    {"Model", "default"},
});

bool contains(const std::vector<std::string>& list, std::string_view item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

std::string_view without_past(std::string_view feature) {
  return feature.ends_with(with_past) ? feature.substr(0, feature.size() - with_past.size()) : feature;
}

/// Whether a class is for something ("XForGuardModel"), and is no base model though its name ends so; "MaskFormerModel"
/// is.
bool is_for_something(std::string_view architecture) {
  for (size_t at = architecture.find("For"); at != std::string_view::npos; at = architecture.find("For", at + 1)) {
    if (at + 3 < architecture.size() && std::isupper(static_cast<unsigned char>(architecture[at + 3])) != 0)
      return true;
  }
  return false;
}

std::optional<std::string> from_ending(std::string_view architecture, const std::vector<std::string>& supported) {
  size_t longest = 0;
  for (const NamePair& ending : endings) {
    if (architecture.ends_with(ending.name)) longest = std::max(longest, ending.name.size());
  }
  std::optional<std::string> result;
  for (const NamePair& ending : endings) {
    if (longest == 0 || ending.name.size() != longest || !architecture.ends_with(ending.name)) continue;
    if (ending.feature.empty() || (ending.feature == default_feature && is_for_something(architecture)))
      return std::nullopt;
    if (contains(supported, ending.feature)) return std::string(ending.feature);
    if (!result) result = ending.feature;
  }
  return result;
}

}  // namespace

const std::vector<std::string>& FeaturesManager::get_supported_features_for_model_type(
    std::string_view model_type, const std::string& plugin_id) const {
  return registry_->resolve(model_type, plugin_id).model->features;
}

FeaturesManager::Supported FeaturesManager::check_supported_model_or_raise(std::string_view model_type,
                                                                           std::string_view feature,
                                                                           const std::string& plugin_id) const {
  Supported supported{registry_->resolve(model_type, plugin_id), {}};
  supported.feature =
      canonical_feature(supported.candidate->manifest.feature_of(std::string(feature)), supported.model->features);
  if (contains(supported.model->features, supported.feature)) return supported;
  // The host makes it of what the plugin defines; whether the checkpoint has what it takes shows when that is read.
  if (supported.feature == sentence_embedding_feature && contains(supported.model->features, default_feature))
    return supported;
  throw Error(Failure::usage,
              fmt::format("the feature '{}' is not supported for the model type '{}' by {}", feature, model_type,
                          supported.candidate->manifest.id),
              fmt::format("supported are {}", fmt::join(supported.model->features, ", ")));
}

std::string FeaturesManager::get_model_class_for_feature(std::string_view feature) {
  const std::string name(without_past(canonical_feature(feature)));
  std::vector<std::string_view> known;
  for (const NamePair& pair : model_classes) {
    if (pair.name == name) return std::string(pair.feature);
    known.push_back(pair.name);
  }
  throw Error(Failure::usage, fmt::format("unknown feature '{}'", feature),
              fmt::format("known are {}", fmt::join(known, ", ")));
}

std::optional<std::string> FeaturesManager::feature_from_architecture(const Candidate& candidate,
                                                                      std::string_view architecture) {
  std::vector<std::string> supported;
  for (const Manifest::Model& model : candidate.manifest.models) {
    for (const auto& [name, feature] : model.architectures) {
      if (name == architecture) return feature;
    }
    supported.insert(supported.end(), model.features.begin(), model.features.end());
  }
  return from_ending(architecture, supported);
}

std::optional<std::string> FeaturesManager::feature_from_architecture(const Manifest::Model& model,
                                                                      std::string_view architecture) {
  for (const auto& [name, feature] : model.architectures) {
    if (name == architecture) return feature;
  }
  return from_ending(architecture, model.features);
}

std::string FeaturesManager::canonical_feature(std::string_view name) {
  return canonical_feature(name, {});
}

std::string FeaturesManager::canonical_feature(std::string_view name, const std::vector<std::string>& supported) {
  if (contains(supported, name)) return std::string(name);
  const std::string_view task = without_past(name);
  const std::string_view past = name.substr(task.size());
  std::string result;
  for (const NamePair& alias : aliases) {
    if (alias.name != task) continue;
    const std::string feature = fmt::format("{}{}", alias.feature, past);
    if (contains(supported, feature)) return feature;
    if (result.empty()) result = feature;
  }
  return result.empty() ? std::string(name) : result;
}

std::vector<std::string> FeaturesManager::aliases_of(std::string_view feature) {
  const std::string_view base = without_past(feature);
  const std::string_view past = feature.substr(base.size());
  std::vector<std::string> result;
  for (const NamePair& alias : aliases) {
    if (alias.feature == base) result.push_back(fmt::format("{}{}", alias.name, past));
  }
  return result;
}

}  // namespace onnxport
