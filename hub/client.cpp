// SPDX-License-Identifier: Apache-2.0
#include "hub/client.hpp"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/error.hpp"
#include "hub/names.hpp"
#include "hub/refusal.hpp"

namespace onnxport::hub {
namespace {

constexpr int most_redirects = 10;
constexpr size_t longest_listing = 64 << 20;
constexpr size_t longest_refusal = 64 << 10;

/// What the hub itself says of a file; the storage that it redirects to knows none of it.
constexpr const char* told_by_hub[] = {"x-repo-commit", "x-linked-etag", "x-linked-size"};

bool is_redirect(long status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

std::optional<uint64_t> number(const std::string& text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

/// Without the mark of a weak one and without quotes.
std::string normalized_etag(std::string etag) {
  if (etag.starts_with("W/")) etag.erase(0, 2);
  while (etag.starts_with('"')) etag.erase(0, 1);
  while (etag.ends_with('"')) etag.pop_back();
  return etag;
}

}  // namespace

/// One request with the redirects that follow from it.
struct Client::Call {
  std::string url;
  std::chrono::seconds timeout;
  bool head = false;
  uint64_t from = 0;
  /// Takes the bytes of a 200 or 206; without one they are the answer's body.
  BodySink sink = {};
  /// Whether a redirect already says what was asked for.
  bool (*enough)(const HttpResponse&) = [](const HttpResponse&) { return false; };
};

Client::Client(Options options) : options_(std::move(options)), transport_(make_transport()) {}

Answer Client::exchange(const Call& call, const std::string& url) {
  const Settings& settings = options_.settings;
  Answer answer;
  answer.url = url;
  answer.of_hub = origin_of(url) == origin_of(settings.endpoint);
  HttpRequest request;
  request.head = call.head;
  request.url = url;
  request.timeout = call.timeout;
  request.stop = options_.hooks.stop;
  // Sizes are those of the file itself.
  request.headers = {"Accept-Encoding: identity"};
  if (call.from > 0) request.headers.push_back(fmt::format("Range: bytes={}-", call.from));
  // The token is the hub's, and nobody else sees it.
  if (answer.of_hub && !settings.token.empty()) request.headers.push_back("Authorization: Bearer " + settings.token);
  static_cast<HttpResponse&>(answer) =
      transport_->perform(request, [&](const HttpResponse& so_far, std::string_view part) {
        const bool good = so_far.status == 200 || so_far.status == 206;
        if (good && call.sink) return call.sink(so_far, part);
        if (answer.body.size() + part.size() <= (good ? longest_listing : longest_refusal)) {
          answer.body.append(part);
          return true;
        }
        return !good;  // of a long refusal the beginning is enough
      });
  if (answer.trouble == Trouble::stopped && request.stop && request.stop()) throw Error(Failure::output, "interrupted");
  return answer;
}

Answer Client::follow(const Call& call) {
  std::map<std::string, std::string> told;
  std::string url = call.url;
  for (int redirects = 0;; ++redirects) {
    Answer answer = exchange(call, url);
    for (const char* name : told_by_hub) {
      if (answer.of_hub && answer.headers.contains(name)) told.emplace(name, answer.header(name));
      answer.headers.erase(name);
    }
    answer.headers.insert(told.begin(), told.end());
    if (answer.trouble != Trouble::none || !is_redirect(answer.status) || call.enough(answer)) return answer;
    if (answer.redirect.empty() || redirects == most_redirects) {
      throw Error(Failure::checkpoint,
                  answer.redirect.empty() ? fmt::format("{} redirects to nowhere", url)
                                          : fmt::format("{} redirects more than {} times", call.url, most_redirects),
                  "try again later; where HF_ENDPOINT names a mirror, check its set-up");
    }
    if (url.starts_with("https://") && !answer.redirect.starts_with("https://")) {
      throw Error(Failure::checkpoint,
                  fmt::format("{} redirects to {}, which is not encrypted", url, origin_of(answer.redirect)),
                  "check HF_ENDPOINT and the proxy: an encrypted server must not lead to one that is not");
    }
    url = answer.redirect;
  }
}

/// A call that can be asked again, as long as that may help.
Answer Client::ask(const Call& call, const std::string& file) {
  Backoff backoff(options_.retry, options_.hooks);
  for (;;) {
    Answer answer = follow(call);
    // Without a network one attempt tells as much as five.
    if (answer.trouble == Trouble::unreachable && !options_.reachable) throw Unreachable{answer.reason};
    if (!may_pass(answer)) {
      check(answer, file);
      return answer;
    }
    if (!backoff.wait(describe(answer), std::chrono::seconds(answer.retry_after)))
      throw exhausted(answer, backoff.tried());
  }
}

void Client::check(const Answer& answer, const std::string& file) const {
  if (answer.trouble == Trouble::certificate || answer.trouble == Trouble::invalid) {
    throw Error(Failure::checkpoint, fmt::format("{}: {}", answer.url, answer.reason),
                answer.trouble == Trouble::certificate
                    ? "where a proxy of your company signs certificates, name its file: SSL_CERT_FILE=FILE.pem"
                    : "check HF_ENDPOINT");
  }
  if (answer.trouble == Trouble::none && answer.status >= 400 && answer.status != 416)
    throw refusal_of(answer, {options_.id, options_.revision, file, options_.settings});
}

Listing Client::list(const std::string& revision) {
  Call call;
  call.url =
      fmt::format("{}/api/models/{}/revision/{}", options_.settings.endpoint, options_.id, percent_encoded(revision));
  call.timeout = options_.settings.metadata_timeout;
  const Answer answer = ask(call, "");
  const nlohmann::json json = nlohmann::json::parse(answer.body, nullptr, false);
  const auto field = [&](const char* name) { return json.is_object() ? json.value(name, nlohmann::json()) : json; };
  Listing listing;
  if (const nlohmann::json sha = field("sha"); sha.is_string()) listing.commit = sha.get<std::string>();
  const nlohmann::json siblings = field("siblings");
  if (answer.trouble != Trouble::none || !is_commit(listing.commit) || !siblings.is_array()) {
    throw Error(Failure::checkpoint,
                fmt::format("{} does not answer as the hub does: expected an object with the commit in 'sha' and the "
                            "files in 'siblings', found {}",
                            call.url, answer.body.empty() ? "nothing" : "'" + answer.body.substr(0, 60) + "'"),
                "check HF_ENDPOINT, and whether a proxy answers in the hub's place");
  }
  for (const nlohmann::json& entry : siblings) {
    const auto name = entry.is_object() ? entry.find("rfilename") : entry.end();
    if (name != entry.end() && name->is_string()) listing.files.push_back(name->get<std::string>());
  }
  return listing;
}

std::string Client::file_url(const std::string& commit, const std::string& file) const {
  return fmt::format("{}/{}/resolve/{}/{}", options_.settings.endpoint, options_.id, commit,
                     percent_encoded(file, "/"));
}

RemoteFile Client::inspect(const std::string& commit, const std::string& file) {
  Call call;
  call.url = file_url(commit, file);
  call.timeout = options_.settings.metadata_timeout;
  call.head = true;
  call.enough = [](const HttpResponse& response) {
    for (const char* name : told_by_hub) {
      if (!response.headers.contains(name)) return false;
    }
    return true;
  };
  const Answer answer = ask(call, file);
  RemoteFile remote;
  remote.name = file;
  const std::string linked = answer.header("x-linked-etag");
  remote.etag = normalized_etag(linked.empty() ? answer.header("etag") : linked);
  const std::string linked_size = answer.header("x-linked-size");
  const auto size = number(linked_size.empty() ? answer.header("content-length") : linked_size);
  const std::string answered = answer.header("x-repo-commit");
  const std::string hint = "check HF_ENDPOINT, and whether a proxy answers in the hub's place or drops headers";
  if (answered != commit) {
    throw Error(Failure::checkpoint,
                fmt::format("{} does not answer as the hub does: expected X-Repo-Commit {}, found {}", call.url, commit,
                            answered.empty() ? "none" : "'" + answered + "'"),
                hint);
  }
  if (!is_safe_name(remote.etag) || !size) {
    throw Error(Failure::checkpoint,
                fmt::format("{} does not answer as the hub does: expected an ETag and a size, found '{}' and '{}'",
                            call.url, remote.etag, size ? std::to_string(*size) : ""),
                hint);
  }
  remote.size = *size;
  return remote;
}

Answer Client::fetch(const std::string& commit, const std::string& file, uint64_t from, const BodySink& sink) {
  Call call;
  call.url = file_url(commit, file);
  call.timeout = options_.settings.download_timeout;
  call.from = from;
  call.sink = sink;
  Answer answer = follow(call);
  if (!may_pass(answer)) check(answer, file);
  return answer;
}

bool may_pass(const Answer& answer) {
  if (answer.trouble == Trouble::broken || answer.trouble == Trouble::unreachable) return true;
  if (answer.trouble != Trouble::none) return false;
  // The storage's addresses are signed for a time only; the hub gives a fresh one.
  if (!answer.of_hub && (answer.status == 401 || answer.status == 403)) return true;
  return answer.status == 408 || answer.status == 429 || answer.status >= 500;
}

std::string describe(const Answer& answer) {
  if (answer.trouble != Trouble::none) return answer.reason;
  return fmt::format("{} answers with status {}", origin_of(answer.url), answer.status);
}

}  // namespace onnxport::hub
