// SPDX-License-Identifier: Apache-2.0
// onnxport plugins sign, onnxport plugins verify
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "host/commands.hpp"
#include "host/model/code_to_trust.hpp"
#include "host/model/selection.hpp"
#include "host/report/report.hpp"
#include "registry/signature.hpp"

namespace onnxport {

int run_plugins_sign(const PluginsSignArguments& arguments, Console& console) {
  if (arguments.key.empty() && arguments.make_key.empty()) {
    throw Error(Failure::usage, "no key to sign with was named",
                "name one with --key FILE, or have one made with --make-key FILE");
  }
  if (!arguments.key.empty() && arguments.path.empty())
    throw Error(Failure::usage, "nothing to sign was named", "name a plugin's folder");
  // A signature for what is not whole would be one for nothing.
  const std::optional<CodeToTrust> code =
      arguments.path.empty() ? std::nullopt : std::optional(find_code(arguments.path));
  const bool is_new = !arguments.make_key.empty();
  const SigningKey key = is_new ? SigningKey::make(arguments.make_key) : SigningKey::read(arguments.key);
  auto& json = console.result();
  json["publisher"] = key.publisher();
  if (is_new) console.line(fmt::format("made: {}, for its owner alone to keep", arguments.make_key.string()));
  console.line(fmt::format("publisher: {}", key.publisher()));
  if (code) {
    const std::filesystem::path signature = key.sign(code->signed_file);
    json["signature"] = signature.string();
    json["id"] = code->subject.id;
    console.line(fmt::format("signed: {} {} in {}", code->subject.id, code->version, signature.string()));
  }
  json["status"] = "ok";
  return 0;
}

int run_plugins_verify(const PluginsVerifyArguments& arguments, Console& console) {
  const CodeToTrust code = find_verified_code(arguments.path);
  const Subject& subject = code.subject;
  auto& json = console.result();
  json["id"] = subject.id;
  json["version"] = code.version;
  json["sha256"] = subject.sha256;
  json["publisher"] = subject.publisher;
  console.line(fmt::format("{} {}: {}", subject.id, code.version, subject.file.string()));
  console.line(fmt::format("  sha256     {}", subject.sha256));
  console.line(fmt::format("  publisher  {}", subject.publisher.empty() ? "not signed" : subject.publisher));
  const auto trust = find_trust(search_options(arguments.plugins));
  if (trust == nullptr) {
    console.line("trust: no policy restricts what is loaded");
  } else {
    report(trust->decide(subject), console);
    if (const auto refusal = trust->check(subject)) throw Error(Failure::plugin, refusal->cause, refusal->hint);
  }
  json["status"] = "ok";
  return 0;
}

}  // namespace onnxport
