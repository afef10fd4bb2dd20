// SPDX-License-Identifier: Apache-2.0
// Policies that say which code may be loaded: the machine's, and the user's, which can only forbid more.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "registry/file_safety.hpp"

namespace onnxport {

/// Code that is about to be loaded, as a policy sees it.
struct Subject {
  std::string what;              ///< "plugin" or "back end"
  std::string id;                ///< what it calls itself
  std::filesystem::path folder;  ///< in which it lies
  std::filesystem::path file;    ///< its library; of an extension the manifest
  std::string sha256;            ///< of that file; empty where it is not known
  bool is_library = true;
  std::string publisher;  ///< whose signature is right; empty where there is none
};

/// What a policy said of a subject.
struct TrustDecision {
  std::string what, id;
  std::filesystem::path policy;
  bool allowed = false;
  std::string by;  ///< "its directory is known: /usr/lib/onnxport"; of one that is not allowed, the reason
};

/// What can be known, or denied, of code.
enum class TrustRule { id, sha256, directory, publisher };

/// A list that a policy gives for each rule.
struct TrustLists {
  std::vector<std::string> ids;  ///< "com.example.*" stands for all that begin so
  std::vector<std::string> sums;
  std::vector<std::filesystem::path> directories;
  std::vector<std::string> publishers;  ///< public keys

  /// The entry by which the subject is in the list of this rule; empty where it is not.
  std::string entry_for(const Subject& subject, TrustRule rule) const;
  bool is_empty() const;
};

/// One file:
///     require: none | known | known-id | known-sha256 | known-directory | known-publisher, or a list of these
///     ids, sha256, directories, publishers: lists of what is known
///     deny: {ids, sha256, directories, publishers: lists of what is never loaded}
class TrustPolicy {
 public:
  /// Throws Error(plugin) with file and line; a policy that anybody else can write is an error, too.
  static TrustPolicy read(const std::filesystem::path& file);

  const std::filesystem::path& file() const { return file_; }
  /// What must be known, each; `known` by any of the rules stands for itself.
  const std::vector<TrustRule>& required() const { return required_; }
  bool requires_any() const { return any_; }
  bool requires_nothing() const { return !any_ && required_.empty(); }
  /// Whether it says anything of publishers, so that signatures count.
  bool names_publishers() const;
  const TrustLists& known() const { return known_; }

  /// Why the subject may not be loaded.
  std::optional<Refusal> check(const Subject& subject) const;
  /// By what one that passes does.
  std::string granted_by(const Subject& subject) const;

 private:
  std::optional<Refusal> check_denied(const Subject& subject) const;
  Refusal missing(const Subject& subject, TrustRule rule) const;

  std::filesystem::path file_;
  std::vector<TrustRule> required_;
  bool any_ = false;
  TrustLists known_, denied_;
};

/// All policies that hold: each must allow.
class Trust {
 public:
  explicit Trust(std::vector<TrustPolicy> policies) : policies_(std::move(policies)) {}

  const std::vector<TrustPolicy>& policies() const { return policies_; }
  bool names_publishers() const;
  /// The first refusal.
  std::optional<Refusal> check(const Subject& subject) const;
  /// What each policy says.
  std::vector<TrustDecision> decide(const Subject& subject) const;

 private:
  std::vector<TrustPolicy> policies_;
};

/// "sha256", "directory", …: as in `require: known-…`.
std::string_view name_of(TrustRule rule);
/// The key of its list: "ids", "sha256", …
std::string_view list_of(TrustRule rule);
inline constexpr TrustRule trust_rules[] = {TrustRule::id, TrustRule::sha256, TrustRule::directory,
                                            TrustRule::publisher};

}  // namespace onnxport
