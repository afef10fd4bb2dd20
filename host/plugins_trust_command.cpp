// SPDX-License-Identifier: Apache-2.0
// onnxport plugins trust: adds a plugin to a policy.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <system_error>

#include "core/error.hpp"
#include "core/installation.hpp"
#include "host/commands.hpp"
#include "host/model/code_to_trust.hpp"
#include "host/model/selection.hpp"
#include "registry/trust_edit.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

/// What has to be known of it so that the policy allows it.
std::vector<TrustRule> rules_for(const TrustPolicy& policy, const std::string& by) {
  if (!by.empty()) {
    const auto named = std::find_if(std::begin(trust_rules), std::end(trust_rules),
                                    [&](TrustRule rule) { return name_of(rule) == by; });
    return {*named};
  }
  return policy.required().empty() ? std::vector{TrustRule::sha256} : policy.required();
}

std::string entry_for(const Subject& subject, TrustRule rule) {
  switch (rule) {
    case TrustRule::id:
      return subject.id;
    case TrustRule::sha256:
      return subject.sha256;
    case TrustRule::directory:
      return fs::weakly_canonical(subject.folder).string();
    case TrustRule::publisher:
      break;
  }
  if (!subject.publisher.empty()) return subject.publisher;
  throw Error(Failure::usage, fmt::format("{} is not signed, so that it has no publisher to trust", subject.id),
              "have it signed (`onnxport plugins sign`), or trust it by its sum: --by sha256");
}

fs::path policy_file(const fs::path& named) {
  if (!named.empty()) return named;
  if (const auto users = user_policy_file()) return *users;
  throw Error(Failure::usage, "there is no policy of the user's: neither XDG_CONFIG_HOME nor HOME is set to a folder",
              "name a policy with --policy FILE");
}

}  // namespace

int run_plugins_trust(const PluginsTrustArguments& arguments, Console& console) {
  const CodeToTrust code = find_verified_code(arguments.path);
  const fs::path file = policy_file(arguments.policy);
  auto& json = console.result();
  json["policy"] = file.string();
  json["id"] = code.subject.id;
  std::error_code error;
  const bool is_new = fs::symlink_status(file, error).type() == fs::file_type::not_found;
  if (is_new) {
    make_policy(file, {installed_files()});
    console.note(
        fmt::format("{} was made: from now on nothing is loaded but what came with the program ({}) and what "
                    "it lists",
                    file.string(), installed_files().string()));
  }
  for (const TrustRule rule : rules_for(TrustPolicy::read(file), arguments.by)) {
    const TrustEntry entry{rule, entry_for(code.subject, rule),
                           code.version.empty() ? code.subject.id : code.subject.id + " " + code.version};
    const bool is_added = add_to_policy(file, entry);
    json["added"].push_back({{"rule", std::string(name_of(rule))}, {"entry", entry.text}, {"was_there", !is_added}});
    console.line(fmt::format("{}: {} {} in {}", is_added ? "trusted" : "was trusted already", name_of(rule), entry.text,
                             file.string()));
  }
  const TrustPolicy changed = TrustPolicy::read(file);
  if (changed.requires_nothing())
    console.note(fmt::format("{} requires nothing of what is loaded; `require: known` would", file.string()));
  // Another policy, or a denial, has the last word.
  SearchOptions options;
  options.trust_file = file;
  const auto trust = find_trust(options);
  if (const auto refusal = trust->check(code.subject)) throw Error(Failure::plugin, refusal->cause, refusal->hint);
  json["status"] = "ok";
  return 0;
}

}  // namespace onnxport
