// SPDX-License-Identifier: Apache-2.0
// The names that the hub and its cache are made of, and which of them are safe to make paths and addresses from.
#pragma once

#include <string>
#include <string_view>

namespace onnxport::hub {

/// Whether a text can be a model's id: "org/name", or a bare legacy name such as "gpt2". The rules are those of
/// huggingface_hub's validate_repo_id (0.36): letters, digits, '-', '_', '.'; neither end is '-' or '.'; no "--", no
/// ".."; at most 96 characters in a name; not ending in ".git".
bool is_model_id(std::string_view text);

/// The model's folder in a cache: "models--org--name".
std::string repository_folder(const std::string& id);

/// 40 hexadecimal digits in lower case.
bool is_commit(std::string_view text);

/// Whether a server's text may be the name of one file: not empty, no '/' or '\', no control characters, not "." or
/// "..", at most 255 bytes.
bool is_safe_name(std::string_view name);

/// Whether a server's text may be a path inside of a snapshot: safe names joined by '/'.
bool is_safe_path(std::string_view path);

/// Throws Error(usage) where the text cannot be a branch, tag or commit.
void require_revision(const std::string& revision);

/// For addresses: all but letters, digits and "-._~" is encoded, and what is in `kept` besides.
std::string percent_encoded(std::string_view text, std::string_view kept = "");

/// "https://host:port" of an address, in lower case; what a token belongs to.
std::string origin_of(std::string_view url);

}  // namespace onnxport::hub
