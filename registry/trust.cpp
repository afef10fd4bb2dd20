// SPDX-License-Identifier: Apache-2.0
#include "registry/trust.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>

#include "core/error.hpp"
#include "core/privileges.hpp"
#include "registry/signature.hpp"
#include "registry/yaml.hpp"

namespace onnxport {
namespace {

using Path = std::filesystem::path;

struct RuleRow {
  TrustRule rule;
  std::string_view name, list;
};
constexpr RuleRow rows[] = {{TrustRule::id, "id", "ids"},
                            {TrustRule::sha256, "sha256", "sha256"},
                            {TrustRule::directory, "directory", "directories"},
                            {TrustRule::publisher, "publisher", "publishers"}};

const RuleRow& row_of(TrustRule rule) {
  return *std::find_if(std::begin(rows), std::end(rows), [&](const RuleRow& row) { return row.rule == rule; });
}

Path policy_directory(const yaml::Node& node, const Path& file) {
  Path path = node.text;
  if (node.text == "~" || node.text.rfind("~/", 0) == 0) {
    const char* home = has_elevated_privileges() ? nullptr : std::getenv("HOME");
    if (home == nullptr || *home == '\0') {
      yaml::fail(file, node.line, fmt::format("'{}' needs HOME, which is not set", node.text));
    }
    path = Path(home) / node.text.substr(std::min<size_t>(2, node.text.size()));
  }
  if (!path.is_absolute()) {
    yaml::fail(file, node.line, fmt::format("the directory '{}' must be absolute or begin with ~/", node.text));
  }
  std::error_code error;
  const Path canonical = std::filesystem::weakly_canonical(path, error);
  return error ? path.lexically_normal() : canonical;
}

bool is_below(const Path& folder, const Path& directory) {
  const Path relative = folder.lexically_relative(directory);
  return !relative.empty() && *relative.begin() != "..";
}

bool id_matches(std::string_view pattern, std::string_view id) {
  return pattern.ends_with('*') ? id.starts_with(pattern.substr(0, pattern.size() - 1)) : id == pattern;
}

TrustLists read_lists(yaml::Map& map, const Path& file) {
  TrustLists lists;
  if (const yaml::Node* ids = map.optional("ids")) {
    lists.ids = yaml::strings(*ids, file, "ids", true);
    for (const yaml::Node& id : ids->items) {
      const std::string_view spelled = std::string_view(id.text).substr(0, id.text.find_last_not_of('*') + 1);
      if (spelled.size() + 1 >= id.text.size() && yaml::is_spelled_as_identifier(spelled)) continue;
      yaml::fail(file, id.line,
                 fmt::format("'{}' in 'ids' can be no plugin's id, nor the begin of one and '*'", id.text));
    }
  }
  if (const yaml::Node* sums = map.optional("sha256")) {
    lists.sums = yaml::strings(*sums, file, "sha256", true);
    for (size_t i = 0; i < lists.sums.size(); ++i) {
      const std::string& sum = lists.sums[i];
      if (sum.size() != 64 || sum.find_first_not_of("0123456789abcdef") != std::string::npos) {
        yaml::fail(file, sums->items[i].line, fmt::format("'{}' is not 64 hexadecimal digits in lower case", sum));
      }
    }
  }
  if (const yaml::Node* directories = map.optional("directories")) {
    yaml::strings(*directories, file, "directories", true);
    for (const yaml::Node& item : directories->items) lists.directories.push_back(policy_directory(item, file));
  }
  if (const yaml::Node* publishers = map.optional("publishers")) {
    lists.publishers = yaml::strings(*publishers, file, "publishers", true);
    for (size_t i = 0; i < lists.publishers.size(); ++i) {
      if (!is_publisher(lists.publishers[i])) {
        yaml::fail(file, publishers->items[i].line,
                   fmt::format("'{}' is not an Ed25519 public key, 32 bytes in base64", lists.publishers[i]));
      }
    }
  }
  return lists;
}

Path canonical_of(const Path& folder) {
  std::error_code error;
  const Path canonical = std::filesystem::weakly_canonical(folder, error);
  return error ? folder.lexically_normal() : canonical;
}

}  // namespace

std::string_view name_of(TrustRule rule) {
  return row_of(rule).name;
}

std::string_view list_of(TrustRule rule) {
  return row_of(rule).list;
}

bool TrustLists::is_empty() const {
  return ids.empty() && sums.empty() && directories.empty() && publishers.empty();
}

std::string TrustLists::entry_for(const Subject& subject, TrustRule rule) const {
  switch (rule) {
    case TrustRule::id:
      for (const std::string& pattern : ids) {
        if (id_matches(pattern, subject.id)) return pattern;
      }
      break;
    case TrustRule::sha256:
      if (std::find(sums.begin(), sums.end(), subject.sha256) != sums.end()) return subject.sha256;
      break;
    case TrustRule::directory: {
      const Path canonical = canonical_of(subject.folder);
      for (const Path& directory : directories) {
        if (is_below(canonical, directory)) return directory.string();
      }
      break;
    }
    case TrustRule::publisher:
      if (std::find(publishers.begin(), publishers.end(), subject.publisher) != publishers.end())
        return subject.publisher;
      break;
  }
  return {};
}

TrustPolicy TrustPolicy::read(const Path& file) {
  TrustPolicy policy;
  policy.file_ = file;
  const std::string text = yaml::read_text(file);
  if (const auto refusal = check_writers(file)) throw Error(Failure::plugin, refusal->cause, refusal->hint);
  if (const auto refusal = check_place(file)) throw Error(Failure::plugin, refusal->cause, refusal->hint);
  const yaml::Node root = yaml::parse(text, file);
  yaml::Map map(root, file, "the trust policy");
  const yaml::Node& require = map.required("require");
  std::vector<const yaml::Node*> words{&require};
  if (require.kind == yaml::Node::Kind::sequence) {
    words.clear();
    yaml::strings(require, file, "require");
    for (const yaml::Node& item : require.items) words.push_back(&item);
  }
  for (const yaml::Node* word : words) {
    const std::string& wanted = yaml::string(*word, file, "require");
    const auto row = std::find_if(std::begin(rows), std::end(rows),
                                  [&](const RuleRow& known) { return wanted == fmt::format("known-{}", known.name); });
    if (row != std::end(rows))
      policy.required_.push_back(row->rule);
    else if (wanted == "known")
      policy.any_ = true;
    else if (wanted != "none" || words.size() > 1)
      yaml::fail(file, word->line,
                 fmt::format("'require' is '{}', expected known-sha256, known-directory, known-publisher, known-id, "
                             "known or none",
                             wanted));
  }
  policy.known_ = read_lists(map, file);
  if (const yaml::Node* deny = map.optional("deny")) {
    yaml::Map denied(*deny, file, "deny");
    policy.denied_ = read_lists(denied, file);
    denied.finish();
  }
  map.finish();
  return policy;
}

bool TrustPolicy::names_publishers() const {
  return !known_.publishers.empty() || !denied_.publishers.empty() ||
         std::find(required_.begin(), required_.end(), TrustRule::publisher) != required_.end();
}

std::optional<Refusal> TrustPolicy::check_denied(const Subject& subject) const {
  for (const TrustRule rule : trust_rules) {
    const std::string entry = denied_.entry_for(subject, rule);
    if (entry.empty()) continue;
    return Refusal{fmt::format("{}: denied by the trust policy {}: '{}' is among its denied {}", subject.file.string(),
                               file_.string(), entry, list_of(rule)),
                   "ask whoever keeps that policy"};
  }
  return std::nullopt;
}

Refusal TrustPolicy::missing(const Subject& subject, TrustRule rule) const {
  const std::string policy = file_.string(), file = subject.file.string();
  switch (rule) {
    case TrustRule::directory:
      return {fmt::format("{}: found in none of the directories of the trust policy {}, which requires one of them",
                          canonical_of(subject.folder).string(), policy),
              "if you trust it, add its directory to 'directories' of the policy"};
    case TrustRule::sha256:
      if (subject.sha256.empty()) {
        return {
            fmt::format("{}: its manifest gives no sha256, and the trust policy {} requires a known one", file, policy),
            "build the plugin again with onnxport_add_plugin(), which writes the sum"};
      }
      return {fmt::format("{}: found sha256 {}, which is not among those of the trust policy {}", file, subject.sha256,
                          policy),
              "if you trust it, add the sum to 'sha256' of the policy"};
    case TrustRule::id:
      return {fmt::format("{}: its id '{}' is not among those of the trust policy {}", file, subject.id, policy),
              "if you trust it, add the id to 'ids' of the policy"};
    case TrustRule::publisher:
      break;
  }
  return {subject.publisher.empty()
              ? fmt::format("{}: not signed, and the trust policy {} requires a known publisher", file, policy)
              : fmt::format("{}: signed by {}, who is not among the publishers of the trust policy {}", file,
                            subject.publisher, policy),
          "if you trust it, add its publisher to 'publishers' of the policy; `onnxport plugins verify` shows who that "
          "is"};
}

std::optional<Refusal> TrustPolicy::check(const Subject& subject) const {
  if (auto refusal = check_denied(subject)) return refusal;
  for (const TrustRule rule : required_) {
    // An extension has no library whose sum could be known; that of the plugin it extends is judged with that one.
    if (rule == TrustRule::sha256 && !subject.is_library) continue;
    if (known_.entry_for(subject, rule).empty()) return missing(subject, rule);
  }
  if (!any_) return std::nullopt;
  for (const TrustRule rule : trust_rules) {
    if (!known_.entry_for(subject, rule).empty()) return std::nullopt;
  }
  return Refusal{fmt::format("{}: neither the id ({}), the sha256 ({}), the directory nor the publisher is among those "
                             "of the trust policy {}",
                             subject.file.string(), subject.id, subject.sha256.empty() ? "not told" : subject.sha256,
                             file_.string()),
                 fmt::format("if you trust it, and may change that policy: `onnxport plugins trust --policy {} {}`",
                             file_.string(), subject.folder.string())};
}

std::string TrustPolicy::granted_by(const Subject& subject) const {
  std::vector<std::string> grounds;
  for (const TrustRule rule : trust_rules) {
    const bool counts = any_ || std::find(required_.begin(), required_.end(), rule) != required_.end();
    const std::string entry = counts ? known_.entry_for(subject, rule) : "";
    if (!entry.empty()) grounds.push_back(fmt::format("its {} is known: {}", name_of(rule), entry));
  }
  if (!grounds.empty()) return fmt::format("{}", fmt::join(grounds, ", "));
  return requires_nothing() ? "nothing is required" : "it has no library of its own";
}

bool Trust::names_publishers() const {
  return std::any_of(policies_.begin(), policies_.end(),
                     [](const TrustPolicy& policy) { return policy.names_publishers(); });
}

std::optional<Refusal> Trust::check(const Subject& subject) const {
  for (const TrustPolicy& policy : policies_) {
    if (auto refusal = policy.check(subject)) return refusal;
  }
  return std::nullopt;
}

std::vector<TrustDecision> Trust::decide(const Subject& subject) const {
  std::vector<TrustDecision> decisions;
  for (const TrustPolicy& policy : policies_) {
    const std::optional<Refusal> refusal = policy.check(subject);
    decisions.push_back(
        {subject.what, subject.id, policy.file(), !refusal, refusal ? refusal->cause : policy.granted_by(subject)});
  }
  return decisions;
}

}  // namespace onnxport
