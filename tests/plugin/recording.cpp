// SPDX-License-Identifier: Apache-2.0
#include "tests/plugin/recording.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <map>
#include <optional>
#include <sstream>

#include "core/definition/wanted_tensors.hpp"
#include "registry/features_manager.hpp"

namespace onnxport::test {
namespace {

namespace fs = std::filesystem;

Drawn drawn_of(const Json& weights) {
  const std::map<std::string, ir::DType> dtypes{
      {"fp32", ir::DType::f32}, {"fp16", ir::DType::f16}, {"bf16", ir::DType::bf16}};
  const Json& synth = weights.at("synth");
  return {{synth.at("seed").get<uint64_t>(), synth.value("form", first_form)},
          synth.at("feature").get<std::string>(),
          dtypes.at(synth.at("dtype").get<std::string>()),
          synth.value("kept_as", std::map<std::string, std::string>{})};
}

/// Writes config.json, what else the folder holds beside the cases, and the weights that the definition asks for.
void draw(const Recording& recording, const fs::path& target) {
  for (const fs::directory_entry& entry : fs::directory_iterator(recording.folder)) {
    if (!entry.path().filename().string().starts_with("case-"))
      fs::copy(entry.path(), target / entry.path().filename(), fs::copy_options::recursive);
  }
  const Json config = read_json(target / "config.json");
  const std::vector<TensorPlan> tensors =
      tensors_of(config_of({config, target}, recording.model_type, recording.drawn->feature), recording.drawn->dtype);
  std::vector<TensorPlan> stored = tensors;
  for (const auto& [asked, kept] : recording.drawn->kept_as) {
    const auto tied =
        std::find_if(stored.begin(), stored.end(), [&wanted = asked](const auto& one) { return one.name == wanted; });
    BOOST_REQUIRE_MESSAGE(tied != stored.end(), asked << " is to be kept as " << kept << ", and is not asked for");
    tied->name = kept;
  }
  std::optional<RandomWeights> weights;
  const TensorPlan* present = nullptr;
  stream_safetensors(target / "model.safetensors", stored, [&](const TensorPlan& tensor, std::span<std::byte> piece) {
    if (present != &tensor)
      weights.emplace(recording.drawn->draw, tensors[static_cast<size_t>(&tensor - stored.data())]);
    present = &tensor;
    weights->fill(piece);
  });
}

/// Whether config.json has the value that "field=value" states; the value is JSON, the field may be "a.b".
bool states(const Json& config, const std::string& option) {
  const size_t sign = option.find('=');
  const Json* node = &config;
  std::istringstream fields(option.substr(0, sign));
  for (std::string field; std::getline(fields, field, '.');) {
    const auto found = node->is_object() ? node->find(field) : node->end();
    if (!node->is_object() || found == node->end()) return false;
    node = &*found;
  }
  return sign != std::string::npos && *node == parse_json(option.substr(sign + 1), option);
}

/// What a recording without a feature is exported by, which is its class: the base model's, or one with heads of its
/// own, all of which a recording of a …ForPreTraining has.
std::string feature_of_class(const Recording& recording) {
  if (recording.architecture.ends_with("ForPreTraining")) return "pretraining";
  for (const Candidate& candidate : built_plugins().candidates()) {
    const Manifest::Model* model = candidate.manifest.model(recording.model_type);
    if (model == nullptr) continue;
    return FeaturesManager::feature_from_architecture(*model, recording.architecture).value_or("default");
  }
  return "default";
}

}  // namespace

std::string Recording::name() const {
  std::string text = fs::relative(folder, root).string() + "/" + feature;
  if (!part.empty()) text += "/" + part;
  if (drawn && !drawn->kept_as.empty()) text += "/kept_as_its_twin";
  for (char& c : text) {
    if (c == '/' || c == '.') c = '_';
  }
  return text;
}

std::vector<Recording> recordings_in(const fs::path& root) {
  std::vector<Recording> recordings;
  for (const Json& row : read_json(root / "index.json")) {
    if (row.at("path").is_null()) continue;  // could not be recorded; the row's notes say why
    Recording recording;
    recording.root = root;
    recording.folder = root / row.at("path").get<std::string>();
    recording.model_type = row.at("model_type");
    recording.architecture = row.at("architecture");
    recording.feature = row.at("feature");
    if (row.contains("part") && row["part"].is_string()) recording.part = row["part"];
    if (recording.feature == "default") recording.feature = feature_of_class(recording);
    recording.atol = row.at("atol");
    for (const char* list : {"cases", "extra_cases"}) {
      for (const Json& name : row.value(list, Json::array())) recording.cases.push_back(name);
    }
    if (row.contains("outputs")) recording.outputs = row["outputs"].get<std::vector<std::string>>();
    recording.departs_in_f16 = row.value("departs_in_f16", "");
    if (row.contains("weights")) recording.drawn = drawn_of(row["weights"]);
    recordings.push_back(std::move(recording));
  }
  return recordings;
}

std::vector<fs::path> given_folders() {
  std::vector<fs::path> folders;
  const char* given = std::getenv("ONNXPORT_GOLDENS");
  std::istringstream list(given == nullptr ? "" : given);
  for (std::string folder; std::getline(list, folder, ':');) {
    if (!folder.empty()) folders.emplace_back(folder);
  }
  return folders;
}

RecordedCheckpoint::RecordedCheckpoint(const Recording& recording) : folder_(recording.folder) {
  if (recording.drawn) {
    folder_ = scratch_.emplace().path;
    draw(recording, folder_);
  }
  checkpoint_.emplace(Checkpoint::open(folder_));
}

const Manifest::KnownGap* known_gap(const Recording& recording, const Manifest::Model& model) {
  std::optional<Json> config;
  for (const Manifest::KnownGap& gap : model.known_gaps) {
    if (!gap.architecture.empty() && gap.architecture != recording.architecture) continue;
    if (!gap.feature.empty() && gap.feature != recording.feature) continue;
    if (!gap.option.empty()) {
      if (!config) config = read_json(recording.folder / "config.json");
      if (!states(*config, gap.option)) continue;
    }
    return &gap;
  }
  return nullptr;
}

}  // namespace onnxport::test
