// SPDX-License-Identifier: Apache-2.0
// Greedy generation with an exported decoder and its cache, by ONNX Runtime's C++ API: what a program without Python
// does with the folder that `onnxport export --layout genai` (or all, optimum, transformers.js) writes.
//
//   generate FOLDER PROMPT [TOKENS]
//
// A prompt is text where the folder has a tokenizer.model (sentencepiece), else token ids by commas: 1,15043,3186.
#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>
#ifdef WITH_SENTENCEPIECE
#include <sentencepiece_processor.h>
#endif

namespace fs = std::filesystem;
using Ids = std::vector<int64_t>;

/// A tensor of its own memory, of zeros where nothing is given.
template <class Element>
Ort::Value tensor(const std::vector<int64_t>& shape, const std::vector<Element>& values) {
  Ort::AllocatorWithDefaultOptions allocator;
  Ort::Value made = Ort::Value::CreateTensor<Element>(allocator, shape.data(), shape.size());
  std::copy(values.begin(), values.end(), made.GetTensorMutableData<Element>());
  return made;
}

/// A decoder with its cache: what it has read so far, and what comes next.
class Decoder {
 public:
  explicit Decoder(const fs::path& folder) : session_(environment_, model_in(folder).c_str(), Ort::SessionOptions()) {
    Ort::AllocatorWithDefaultOptions allocator;
    for (size_t i = 0; i < session_.GetInputCount(); ++i) {
      inputs_.push_back(session_.GetInputNameAllocated(i, allocator).get());
      if (inputs_.back().starts_with("past_")) caches_.emplace(inputs_.back(), empty_cache(i));
    }
    for (size_t i = 0; i < session_.GetOutputCount(); ++i)
      outputs_.push_back(session_.GetOutputNameAllocated(i, allocator).get());
  }

  /// The likeliest token behind these, which stand behind all that was read before.
  int64_t next(const Ids& ids) {
    const auto step = static_cast<int64_t>(ids.size());
    std::vector<const char*> input_names, output_names;
    std::vector<Ort::Value> given;
    for (const std::string& name : inputs_) {
      input_names.push_back(name.c_str());
      if (name == "input_ids") {
        given.push_back(tensor({1, step}, ids));
      } else if (name == "attention_mask") {
        given.push_back(tensor({1, read_ + step}, Ids(static_cast<size_t>(read_ + step), 1)));
      } else if (name == "position_ids") {
        Ids positions;
        for (int64_t i = 0; i < step; ++i) positions.push_back(read_ + i);
        given.push_back(tensor({1, step}, positions));
      } else if (name == "num_logits_to_keep") {
        given.push_back(tensor<int64_t>({}, {1}));
      } else if (const auto cache = caches_.find(name); cache != caches_.end()) {
        given.push_back(std::move(cache->second));
      } else {
        throw std::runtime_error("the model takes " + name + ", of which this program knows nothing");
      }
    }
    for (const std::string& name : outputs_) output_names.push_back(name.c_str());
    std::vector<Ort::Value> made = session_.Run(Ort::RunOptions(), input_names.data(), given.data(), given.size(),
                                                output_names.data(), output_names.size());
    read_ += step;
    int64_t token = 0;
    for (size_t i = 0; i < outputs_.size(); ++i) {
      if (outputs_[i] == "logits") token = best_of(made[i]);
      // present.3.key is what the next step takes as past_key_values.3.key; present_conv.3 is past_conv.3.
      const std::string& name = outputs_[i];
      if (!name.starts_with("present")) continue;
      const std::string rest = name.substr(std::string("present").size());
      for (const std::string& past : {"past_key_values" + rest, "past" + rest}) {
        if (const auto cache = caches_.find(past); cache != caches_.end()) cache->second = std::move(made[i]);
      }
    }
    return token;
  }

 private:
  static std::string model_in(const fs::path& folder) {
    for (const char* name : {"model.onnx", "onnx/model.onnx"}) {
      if (fs::exists(folder / name)) return folder / name;
    }
    throw std::runtime_error("there is no model.onnx in " + folder.string());
  }

  /// Of the shape in the file, whose heads and widths are numbers: one row, and nothing read yet.
  Ort::Value empty_cache(size_t input) const {
    const Ort::TypeInfo type = session_.GetInputTypeInfo(input);
    std::vector<int64_t> shape = type.GetTensorTypeAndShapeInfo().GetShape();
    size_t elements = 1;
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      if (shape[axis] < 0) shape[axis] = axis == 0 ? 1 : 0;
      elements *= static_cast<size_t>(shape[axis]);
    }
    if (type.GetTensorTypeAndShapeInfo().GetElementType() != ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT)
      throw std::runtime_error("the cache is not of 32-bit floats");
    return tensor(shape, std::vector<float>(elements, 0.0F));
  }

  /// The largest of the last row of f32[1, sequence, vocabulary].
  static int64_t best_of(const Ort::Value& logits) {
    const std::vector<int64_t> shape = logits.GetTensorTypeAndShapeInfo().GetShape();
    const float* end = logits.GetTensorData<float>() + shape[1] * shape[2];
    const float* last = end - shape[2];
    return std::max_element(last, end) - last;
  }

  Ort::Env environment_{ORT_LOGGING_LEVEL_WARNING, "generate"};
  Ort::Session session_;
  std::vector<std::string> inputs_, outputs_;
  std::map<std::string, Ort::Value> caches_;
  int64_t read_ = 0;
};

/// The tokens that end a text, by generation_config.json or else by config.json.
std::set<int64_t> ends_of(const fs::path& folder) {
  for (const char* name : {"generation_config.json", "config.json"}) {
    std::ifstream file(folder / name);
    if (!file) continue;
    const nlohmann::json config = nlohmann::json::parse(file);
    const auto found = config.find("eos_token_id");
    if (found == config.end() || found->is_null()) continue;
    if (found->is_number()) return {found->get<int64_t>()};
    return found->get<std::set<int64_t>>();
  }
  return {};
}

Ids ids_in(const std::string& list) {
  Ids ids;
  std::istringstream words(list);
  for (std::string word; std::getline(words, word, ',');) ids.push_back(std::stoll(word));
  return ids;
}

int main(int argc, char** argv) try {
  if (argc != 3 && argc != 4) {
    std::cerr << "usage: " << argv[0] << " FOLDER PROMPT [TOKENS]\n";
    return 2;
  }
  const fs::path folder = argv[1];
  const int count = argc == 4 ? std::atoi(argv[3]) : 20;
  Ids ids;
#ifdef WITH_SENTENCEPIECE
  sentencepiece::SentencePieceProcessor tokenizer;
  const bool is_text = fs::exists(folder / "tokenizer.model");
  if (is_text) {
    if (const auto status = tokenizer.Load((folder / "tokenizer.model").string()); !status.ok())
      throw std::runtime_error(status.ToString());
    if (tokenizer.bos_id() >= 0) ids.push_back(tokenizer.bos_id());
    for (const int id : tokenizer.EncodeAsIds(argv[2])) ids.push_back(id);
  } else {
    ids = ids_in(argv[2]);
  }
#else
  ids = ids_in(argv[2]);
#endif
  const std::set<int64_t> ends = ends_of(folder);
  Decoder decoder(folder);
  Ids made;
  for (Ids step = ids; static_cast<int>(made.size()) < count; step = {made.back()}) {
    made.push_back(decoder.next(step));
    if (ends.contains(made.back())) break;
  }
#ifdef WITH_SENTENCEPIECE
  if (is_text) {
    std::cout << tokenizer.DecodeIds(std::vector<int>(made.begin(), made.end())) << "\n";
    return 0;
  }
#endif
  for (size_t i = 0; i < made.size(); ++i) std::cout << (i == 0 ? "" : ",") << made[i];
  std::cout << "\n";
  return 0;
} catch (const std::exception& error) {
  std::cerr << "error: " << error.what() << "\n";
  return 1;
}
