// SPDX-License-Identifier: Apache-2.0
#include "core/dummy/preprocessor.hpp"

#include <stdexcept>

#include "core/dummy/preprocessor_files.hpp"
#include "core/error.hpp"

namespace onnxport {
namespace dummy {

using nlohmann::json;

std::ifstream open_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(Failure::checkpoint, path.string() + ": cannot be read", "check the file's permissions");
  return file;
}

json parse_file(const std::filesystem::path& path, const json::parser_callback_t& filter) {
  std::ifstream file = open_file(path);
  try {
    return json::parse(file, filter);
  } catch (const json::exception& error) {
    throw Error(Failure::checkpoint, path.string() + " is no valid JSON: " + error.what(), "download the file again");
  }
}

json parse_object(const std::filesystem::path& path) {
  if (!std::filesystem::is_regular_file(path)) return json::object();
  json object = parse_file(path);
  if (!object.is_object())
    throw Error(Failure::checkpoint, path.string() + " holds no JSON object", "correct the file, or download it again");
  return object;
}

}  // namespace dummy

std::optional<Preprocessor> Preprocessor::from_folder(const std::filesystem::path& folder) {
  Preprocessor out;
  try {
    const bool text = dummy::read_tokenizer(folder, out);
    const bool images = dummy::read_image_processor(folder, out);
    if (!text && !images) return std::nullopt;
  } catch (const nlohmann::json::exception& error) {
    throw Error(Failure::checkpoint,
                "the tokenizer's files in " + folder.string() + " are not as expected: " + error.what(),
                "compare tokenizer.json and tokenizer_config.json with the original ones");
  } catch (const std::logic_error& error) {  // a number that std::stoll refuses
    throw Error(Failure::checkpoint,
                folder.string() + "/tokenizer_config.json: an id is no number (" + error.what() + ")",
                "correct the file, or download it again");
  }
  return out;
}

}  // namespace onnxport
