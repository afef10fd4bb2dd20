// SPDX-License-Identifier: Apache-2.0
// A plugin that was found, whether it can be used or not.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "registry/manifest.hpp"
#include "registry/quarantine.hpp"
#include "registry/trust.hpp"

namespace onnxport {

enum class CandidateState {
  usable,
  shadowed,     ///< an earlier place offers all its model types
  conflicting,  ///< another plugin of the same place offers one of its model types
  refused,      ///< may not be loaded: permissions, the trust policy, quarantine, another platform or ABI
  broken,       ///< the manifest or the library is missing or wrong
};

/// "usable", "shadowed", …
std::string_view to_string(CandidateState state);

/// What its manifest says, where it lies and what became of it.
struct Candidate {
  Manifest manifest;
  std::filesystem::path manifest_path;
  /// "--plugin-dir", "ONNXPORT_PLUGIN_PATH", "user" or "install".
  std::string place;
  CandidateState state = CandidateState::usable;
  /// Why it is not, or not for all its types, usable. Empty for a plain usable one.
  std::string reason;
  /// What the user can do about it; may be empty.
  std::string hint;
  /// Of an extension: the plugin whose library it uses. Null where the extension could not be resolved.
  const Candidate* base = nullptr;
  /// Directories are numbered in search order.
  size_t place_index = 0;
  /// The policies that load() applies; null where there are none.
  std::shared_ptr<const Trust> trust;
  /// Who signed the manifest; empty where nobody did, and where no policy asks for it.
  std::string publisher;
  /// What load() does not open; null where there is none.
  std::shared_ptr<const std::vector<QuarantineRecord>> quarantine;

  bool is_healthy() const { return state != CandidateState::refused && state != CandidateState::broken; }
  /// The candidate whose library is loaded: itself, or what it extends.
  const Candidate& with_library() const { return base != nullptr ? *base : *this; }
};

/// The plugin as a policy sees it, with its manifest's sum or, of an extension, the sum of that.
Subject subject_of(const Candidate& candidate);

/// Why a library with this sum is not opened, where it is in quarantine.
std::optional<Refusal> check_quarantine(const Candidate& candidate, std::string_view sha256);

/// "bert 1.0.0 (install, /usr/lib/onnxport/plugins/bert/plugin.yaml)"
std::string describe(const Candidate& candidate);
/// All its model types as its manifest spells them.
std::vector<std::string> types_of(const Candidate& candidate);

}  // namespace onnxport
