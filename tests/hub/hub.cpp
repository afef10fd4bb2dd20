// SPDX-License-Identifier: Apache-2.0
#include "hub.hpp"

#include <fmt/format.h>

#include <boost/test/unit_test.hpp>
#include <charconv>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <random>

#include "core/error.hpp"
#include "hub/digest.hpp"

namespace hub_test {
namespace {

/// "a%2Fb" -> "a/b"
std::string decoded(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    if (text[i] == '%' && i + 2 < text.size()) {
      std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16);
      out += static_cast<char>(value);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

Reply error(int status, const std::string& code, const std::string& message) {
  Reply reply;
  reply.status = status;
  if (!code.empty()) reply.headers.emplace_back("X-Error-Code", code);
  reply.headers.emplace_back("X-Error-Message", message);
  reply.body = nlohmann::json{{"error", message}}.dump();
  return reply;
}

/// The content, or its end where a Range asks for that.
Reply content(const Request& request, const std::string& bytes) {
  Reply reply;
  const std::string range = request.header("range"), prefix = "bytes=";
  size_t from = 0;
  if (range.starts_with(prefix)) std::from_chars(range.data() + prefix.size(), range.data() + range.size(), from);
  if (from > 0 && from >= bytes.size()) return error(416, "", "out of range");
  reply.body = bytes.substr(from);
  if (from > 0) {
    reply.status = 206;
    reply.headers.emplace_back("Content-Range", fmt::format("bytes {}-{}/{}", from, bytes.size() - 1, bytes.size()));
  }
  return reply;
}

}  // namespace

std::string commit_of(char digit) {
  return std::string(40, digit);
}

std::string random_bytes(size_t size, unsigned seed) {
  std::mt19937 generator(seed);
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(generator());
  return bytes;
}

Hub::Hub()
    : storage_([this](const Request& request) { return answer_storage(request); }),
      hub_([this](const Request& request) { return answer(request); }) {}

bool Hub::is_large(const std::string& name) {
  return name.ends_with(".safetensors") || name.ends_with(".bin") || name.ends_with(".model");
}

std::string Hub::etag_of(const std::string& name, const std::string& content) {
  const TemporaryFolder folder;
  write(folder / "content", content);
  using onnxport::hub::Checksum;
  return onnxport::hub::checksum_of(folder / "content", is_large(name) ? Checksum::sha256 : Checksum::git_sha1, {});
}

void Hub::publish(const std::string& id, const Files& files, const std::string& commit) {
  const std::lock_guard lock(mutex_);
  auto& stored = repositories[id].commits[commit];
  stored.clear();
  for (const auto& [name, content] : files) stored[name] = {content, etag_of(name, content)};
  repositories[id].refs["main"] = commit;
}

Files Hub::files_of(const fs::path& folder) {
  Files files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) files[entry.path().lexically_relative(folder).string()] = read(entry.path());
  }
  return files;
}

void Hub::spoil(const std::string& part, int times, std::function<void(const Request&, Reply&)> change) {
  const std::lock_guard lock(mutex_);
  spoilers_.push_back({part, times, std::move(change)});
}

std::vector<Request> Hub::requests(const std::string& part) const {
  const std::lock_guard lock(mutex_);
  std::vector<Request> found;
  for (const Request& request : requests_) {
    if (request.line().find(part) != std::string::npos) found.push_back(request);
  }
  return found;
}

void Hub::forget_requests() {
  const std::lock_guard lock(mutex_);
  requests_.clear();
}

void Hub::note(const Request& request) {
  const std::lock_guard lock(mutex_);
  requests_.push_back(request);
}

Reply Hub::spoiled(const Request& request, Reply reply) {
  const std::lock_guard lock(mutex_);
  for (Spoiler& spoiler : spoilers_) {
    if (spoiler.times == 0 || request.line().find(spoiler.part) == std::string::npos) continue;
    --spoiler.times;
    spoiler.change(request, reply);
    break;
  }
  return reply;
}

Reply Hub::answer(const Request& request) {
  note(request);
  const std::string api = "/api/models/", target = request.target;
  Reply reply = error(404, "RepoNotFound", "Repository not found");
  for (const auto& [id, repository] : repositories) {
    const std::string list_prefix = api + id + "/revision/", file_prefix = "/" + id + "/resolve/";
    const bool listing = target.starts_with(list_prefix);
    if (!listing && !target.starts_with(file_prefix)) continue;
    const bool allowed = repository.token.empty() || request.header("authorization") == "Bearer " + repository.token;
    if (!allowed && repository.gated) {
      reply = error(request.header("authorization").empty() ? 401 : 403, "GatedRepo", "Access is restricted");
    } else if (!allowed) {
      // Private: as one that is not there.
      reply = request.header("authorization").empty() ? error(401, "RepoNotFound", "Repository not found")
                                                      : error(401, "", "Invalid credentials in Authorization header");
    } else if (listing) {
      reply = list(repository, id, decoded(target.substr(list_prefix.size())));
    } else {
      const std::string rest = target.substr(file_prefix.size());
      const size_t slash = rest.find('/');
      reply = file(repository, request, decoded(rest.substr(0, slash)), decoded(rest.substr(slash + 1)));
    }
  }
  return spoiled(request, reply);
}

Reply Hub::list(const Repository& repository, const std::string& id, const std::string& revision) const {
  const auto ref = repository.refs.find(revision);
  const auto commit = repository.commits.find(ref == repository.refs.end() ? revision : ref->second);
  if (commit == repository.commits.end()) return error(404, "RevisionNotFound", "Invalid rev id: " + revision);
  nlohmann::json siblings = nlohmann::json::array();
  for (const auto& [name, stored] : commit->second) siblings.push_back({{"rfilename", name}});
  Reply reply;
  reply.headers.emplace_back("Content-Type", "application/json");
  reply.body = nlohmann::json{{"id", id}, {"sha", commit->first}, {"siblings", siblings}}.dump();
  return reply;
}

Reply Hub::file(const Repository& repository, const Request& request, const std::string& revision,
                const std::string& name) const {
  const auto ref = repository.refs.find(revision);
  const auto commit = repository.commits.find(ref == repository.refs.end() ? revision : ref->second);
  if (commit == repository.commits.end()) return error(404, "RevisionNotFound", "Invalid rev id: " + revision);
  const auto found = commit->second.find(name);
  if (found == commit->second.end()) {
    Reply reply = error(404, "EntryNotFound", "Entry not found");
    reply.headers.emplace_back("X-Repo-Commit", commit->first);
    return reply;
  }
  const auto& [bytes, etag] = found->second;
  Reply reply;
  if (is_large(name)) {
    reply.status = 302;
    reply.headers = {{"Location", fmt::format("{}/{}?name={}", storage_.address(), etag, name)},
                     {"X-Linked-Etag", "\"" + etag + "\""},
                     {"X-Linked-Size", std::to_string(bytes.size())},
                     // That of the redirect, which must not be taken for the file's.
                     {"ETag", "\"of-the-redirect\""}};
    reply.body = "Found";
  } else {
    reply = content(request, bytes);
    reply.headers.emplace_back("ETag", "\"" + etag + "\"");
  }
  reply.headers.emplace_back("X-Repo-Commit", commit->first);
  return reply;
}

Reply Hub::answer_storage(const Request& request) {
  note(request);
  const std::string name = request.target.substr(request.target.find("?name=") + 6);
  const std::string etag = request.target.substr(1, request.target.find('?') - 1);
  for (const auto& [id, repository] : repositories) {
    for (const auto& [commit, files] : repository.commits) {
      const auto found = files.find(name);
      if (found == files.end() || found->second.etag != etag) continue;
      Reply reply = content(request, found->second.content);
      // Storages have etags of their own kind.
      reply.headers.emplace_back("ETag", "\"of-the-storage\"");
      return spoiled(request, reply);
    }
  }
  return spoiled(request, error(404, "", "no such object"));
}

std::string read(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write(const fs::path& file, const std::string& text) {
  fs::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << text;
}

onnxport::hub::ModelRequest request_for(const Hub& hub, const TemporaryFolder& cache, const std::string& id) {
  onnxport::hub::ModelRequest request;
  request.id = id;
  request.settings.cache = cache.path;
  request.settings.endpoint = hub.endpoint();
  request.retry.first_wait = std::chrono::milliseconds(1);
  request.retry.longest_wait = std::chrono::milliseconds(5);
  return request;
}

std::string failure_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const onnxport::Error& error) {
    BOOST_TEST(!error.hint().empty(), "no next step: " << error.what());
    return std::string(error.what()) + "\n" + error.hint();
  }
  BOOST_ERROR("nothing failed");
  return {};
}

}  // namespace hub_test
