// SPDX-License-Identifier: Apache-2.0
#include "hub/refusal.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "hub/names.hpp"

namespace onnxport::hub {
namespace {

/// The server's own words: of its header, or of an object's field 'error'. In one line, without control characters.
std::string words_of(const Answer& answer) {
  std::string words = answer.header("x-error-message");
  if (words.empty()) {
    const nlohmann::json json = nlohmann::json::parse(answer.body, nullptr, false);
    if (json.is_object() && json.contains("error") && json["error"].is_string()) words = json["error"];
  }
  for (char& c : words) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return words.substr(0, 300);
}

std::string quoted(const std::string& words) {
  return words.empty() ? "" : fmt::format(" ({})", words);
}

Error refused(const std::string& cause, const std::string& hint) {
  return {Failure::checkpoint, cause, hint};
}

Error gated(const Asked& asked, const std::string& words) {
  const Settings& settings = asked.settings;
  const std::string page = settings.endpoint + "/" + asked.id;
  const std::string cause = fmt::format("access to the model '{}' is restricted{}", asked.id, quoted(words));
  if (settings.token.empty())
    return refused(cause,
                   fmt::format("accept its conditions at {}, then pass a token of your account: HF_TOKEN=TOKEN", page));
  return refused(
      cause, fmt::format("ask for access at {} with the account of the token from {}", page, settings.token_source));
}

Error bad_token(const Asked& asked, const std::string& words) {
  return refused(fmt::format("{} does not accept the token from {}{}", asked.settings.endpoint,
                             asked.settings.token_source, quoted(words)),
                 "pass one that is valid, HF_TOKEN=TOKEN, or none for a public model");
}

/// The hub does not tell a model that is not there from a private one of somebody else.
Error not_found(const Asked& asked) {
  const Settings& settings = asked.settings;
  const std::string cause = fmt::format("there is no model '{}' at {}, or it is private", asked.id, settings.endpoint);
  if (settings.token.empty())
    return refused(cause, "check the id; for a private model pass a token that may read it: HF_TOKEN=TOKEN");
  return refused(cause, fmt::format("check the id, and whether the token from {} may read it", settings.token_source));
}

}  // namespace

Error refusal_of(const Answer& answer, const Asked& asked) {
  const std::string code = answer.header("x-error-code"), words = words_of(answer);
  const std::string& host = asked.settings.endpoint;
  const bool has_token = !asked.settings.token.empty();
  if (code == "GatedRepo") return gated(asked, words);
  if (code == "RevisionNotFound") {
    return refused(fmt::format("the model '{}' has no revision '{}' at {}", asked.id, asked.revision, host),
                   fmt::format("see {}/{}/tree/main for its branches, tags and commits, and pass one with --revision",
                               host, asked.id));
  }
  if (code == "EntryNotFound") {
    return refused(fmt::format("the model '{}' lists the file {} and does not have it", asked.id, asked.file),
                   "try again later");
  }
  if (words == "Access to this resource is disabled.")
    return refused(fmt::format("access to the model '{}' is disabled at {}", asked.id, host), "take another model");
  if (answer.of_hub && answer.status == 401 && has_token && code != "RepoNotFound") return bad_token(asked, words);
  if (answer.of_hub && (code == "RepoNotFound" || answer.status == 401 || answer.status == 404))
    return not_found(asked);
  if (answer.of_hub && answer.status == 403) {
    return refused(fmt::format("{} refuses to hand out the model '{}'{}", host, asked.id, quoted(words)),
                   has_token ? fmt::format("the token from {} lacks a right: it must be allowed to read this model",
                                           asked.settings.token_source)
                             : "pass a token of an account that may read it: HF_TOKEN=TOKEN");
  }
  return refused(fmt::format("{} answers with status {}{}", answer.url, answer.status, quoted(words)),
                 "try again later; where HF_ENDPOINT names a mirror, check its set-up");
}

Error exhausted(const Answer& answer, const std::string& tried) {
  const std::string cause = fmt::format("{} (tried {}): {}", origin_of(answer.url), tried, describe(answer));
  if (answer.status == 429) {
    return refused(
        cause, answer.retry_after > 0
                   ? fmt::format("too many requests: try again in {} s, or pass a token (HF_TOKEN)", answer.retry_after)
                   : "too many requests: try again later, or pass a token (HF_TOKEN)");
  }
  return refused(cause, "try again later: what has come so far is kept, and the download goes on from there");
}

}  // namespace onnxport::hub
