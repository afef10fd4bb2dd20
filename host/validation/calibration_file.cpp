// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <charconv>
#include <fstream>

#include "core/checkpoint/checkpoint.hpp"
#include "core/error.hpp"
#include "core/printable.hpp"
#include "host/validation/calibration.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse_word(const fs::path& file, size_t line, const std::string& word) {
  throw Error(Failure::usage,
              fmt::format("--calibration {}, line {}: '{}' is no token id", file.string(), line, printable(word)),
              "texts are not tokenized here: write the ids that the model's tokenizer makes of each text, special "
              "tokens among them, as numbers in a line of its own; or name a file of inputs as safetensors");
}

int64_t id_of(const std::string& word, const fs::path& file, size_t line) {
  int64_t id = 0;
  const char* end = word.data() + word.size();
  const auto read = std::from_chars(word.data(), end, id);
  if (read.ec != std::errc() || read.ptr != end || id < 0) refuse_word(file, line, word);
  return id;
}

/// Numbers between spaces, commas and brackets, so that lists that a program has printed do as well.
std::vector<int64_t> ids_of(const std::string& text, const fs::path& file, size_t line) {
  constexpr const char* between = " \t\r,[]";
  std::vector<int64_t> ids;
  for (size_t begin = text.find_first_not_of(between); begin != std::string::npos;) {
    const size_t end = std::min(text.find_first_of(between, begin), text.size());
    ids.push_back(id_of(text.substr(begin, end - begin), file, line));
    begin = text.find_first_not_of(between, end);
  }
  return ids;
}

Tensors tensors_of(const fs::path& file) {
  Tensors tensors;
  for (StoredTensor& stored : read_safetensors(file.string())) {
    std::string name = stored.name;
    if (name.starts_with("out/")) continue;  // of a recorded case
    if (name.starts_with("in/")) name = name.substr(3);
    tensors.emplace(std::move(name), materialize(Weight{std::make_shared<const StoredTensor>(std::move(stored)), {}}));
  }
  return tensors;
}

}  // namespace

Calibration read_calibration(const fs::path& file) {
  Calibration read{.name = file.filename().string(), .texts = {}, .inputs = {}};
  if (file.extension() == ".safetensors") {
    read.inputs = tensors_of(file);
    if (!read.inputs.empty()) return read;
    throw Error(Failure::usage, fmt::format("--calibration {} holds no tensor", file.string()),
                "a file of inputs has a tensor NAME, or in/NAME, for each input that it gives");
  }
  std::ifstream stream(file);
  std::string text;
  for (size_t line = 1; std::getline(stream, text); ++line) {
    if (std::vector<int64_t> ids = ids_of(text, file, line); !ids.empty()) read.texts.push_back(std::move(ids));
  }
  if (!read.texts.empty()) return read;
  throw Error(Failure::usage, fmt::format("--calibration {} holds no token ids", file.string()),
              "write a text a line, as the ids that the model's tokenizer makes of it");
}

}  // namespace onnxport
