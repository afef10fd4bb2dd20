// SPDX-License-Identifier: Apache-2.0
// What an opened library says of itself, held against what it should say.
#pragma once

#include <onnxport/abi.h>

#include <cstddef>
#include <filesystem>
#include <string>

#include "core/definition/given.hpp"
#include "registry/manifest.hpp"

namespace onnxport::detail {

/// No struct of the ABI comes near this; what is larger is no size.
constexpr size_t largest_struct = 1 << 16;

constexpr const char* rebuild_hint = "build the plugin again with the SDK of this version of onnxport";
constexpr const char* report_hint = "the plugin has a defect: tell its vendor, or remove it";

/// Throws Error(plugin) that names the library.
[[noreturn]] void refuse(const std::filesystem::path& library, const std::string& what, const std::string& hint);

/// Throws Error(plugin) with both values of every field of the magic block that does not fit this host.
void check_magic(const onnxport_magic& magic, const onnxport_host& host, const std::filesystem::path& library);

/// Throws Error(plugin) where the plugin's facts cannot be read, or are others than its manifest's.
void check_facts(const onnxport_plugin& plugin, const Manifest& manifest, const std::filesystem::path& library);

}  // namespace onnxport::detail
