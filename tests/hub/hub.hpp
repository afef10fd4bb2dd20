// SPDX-License-Identifier: Apache-2.0
// A hub of models in memory, with a storage on another address that large files are redirected to, as the real one.
#pragma once

#include <filesystem>

#include "hub/model.hpp"
#include "server.hpp"
#include "tests/support/temporary_folder.hpp"

namespace hub_test {

namespace fs = std::filesystem;
using onnxport::test::TemporaryFolder;
using Files = std::map<std::string, std::string>;  // name -> content

/// Names of commits in tests: forty times the digit.
std::string commit_of(char digit);
/// A content of that many bytes without repetition, the same for the same seed.
std::string random_bytes(size_t size, unsigned seed = 1);

class Hub {
 public:
  Hub();

  struct Stored {
    std::string content, etag;
  };
  struct Repository {
    std::map<std::string, std::map<std::string, Stored>> commits;  // by commit and name
    std::map<std::string, std::string> refs;                       // branches, tags and short commits
    std::string token;                                             // empty: public
    bool gated = false;
  };
  /// Files whose name ends so are in the storage, named by SHA-256; others by git's object name.
  static bool is_large(const std::string& name);

  /// Adds a commit and lets "main" stand for it.
  void publish(const std::string& id, const Files& files, const std::string& commit = commit_of('a'));
  /// All files of a folder.
  static Files files_of(const fs::path& folder);

  /// Changes the next `times` answers to requests whose line ("GET /path") contains `part`.
  void spoil(const std::string& part, int times, std::function<void(const Request&, Reply&)> change);

  std::string endpoint() const { return hub_.address(); }
  std::string storage() const { return storage_.address(); }
  /// The lines of all requests so far, to hub and storage, whose line contains `part`.
  std::vector<Request> requests(const std::string& part = "") const;
  void forget_requests();
  /// What the cache calls a content.
  static std::string etag_of(const std::string& name, const std::string& content);

  std::map<std::string, Repository> repositories;

 private:
  Reply answer(const Request& request);
  Reply answer_storage(const Request& request);
  Reply list(const Repository& repository, const std::string& id, const std::string& revision) const;
  Reply file(const Repository& repository, const Request& request, const std::string& revision,
             const std::string& name) const;
  void note(const Request& request);
  Reply spoiled(const Request& request, Reply reply);

  struct Spoiler {
    std::string part;
    int times;
    std::function<void(const Request&, Reply&)> change;
  };
  mutable std::mutex mutex_;
  std::vector<Request> requests_;
  std::vector<Spoiler> spoilers_;
  Server storage_;
  Server hub_;
};

std::string read(const fs::path& file);
void write(const fs::path& file, const std::string& text);

/// A request for a model at this hub and cache, with waits that suit a test.
onnxport::hub::ModelRequest request_for(const Hub& hub, const TemporaryFolder& cache,
                                        const std::string& id = "org/name");

/// What a failure says, cause and hint; fails the test where there is none.
std::string failure_of(const std::function<void()>& work);

}  // namespace hub_test
