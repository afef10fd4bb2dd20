// SPDX-License-Identifier: Apache-2.0
// The files that a Preprocessor is read from, each kind in a source of its name. Everything here throws
// Error(checkpoint) or nlohmann::json::exception for files that are broken.
#pragma once

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/dummy/preprocessor.hpp"

namespace onnxport::dummy {

std::ifstream open_file(const std::filesystem::path& path);
nlohmann::json parse_file(const std::filesystem::path& path, const nlohmann::json::parser_callback_t& filter = nullptr);
/// An object, empty where the file is not there.
nlohmann::json parse_object(const std::filesystem::path& path);

/// Read what the folder holds into `out`; false where it has no such file.
bool read_tokenizer(const std::filesystem::path& folder, Preprocessor& out);
bool read_image_processor(const std::filesystem::path& folder, Preprocessor& out);

}  // namespace onnxport::dummy
