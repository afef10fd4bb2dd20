// SPDX-License-Identifier: Apache-2.0
// docs/sdk-index.md: what the headers of the SDK offer, by header.
#pragma once

#include <filesystem>
#include <string>

namespace onnxport {

/// The page with its generated part made of the headers below `include`.
std::string sdk_page(const std::string& present_page, const std::filesystem::path& include);

/// What one header offers, as lines of the page; its name first. Empty where it offers nothing.
std::string offers_of_header(const std::string& name, const std::string& text);

}  // namespace onnxport
