// SPDX-License-Identifier: Apache-2.0
// What is asked of the hub: which files a revision has, what one of them is, and its bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "hub/backoff.hpp"
#include "hub/settings.hpp"
#include "hub/transport.hpp"

namespace onnxport::hub {

/// A revision as the hub lists it.
struct Listing {
  std::string commit;
  std::vector<std::string> files;  // as the server names them: unchecked
};

/// One file of a commit.
struct RemoteFile {
  std::string name;
  std::string etag;  // a safe name; what its blob is called
  uint64_t size = 0;
};

/// What came at the end of redirects.
struct Answer : HttpResponse {
  std::string url;      // that answered
  bool of_hub = false;  // or of the storage that it redirects to
  std::string body;     // what no sink took
};

/// No connection to the hub at all, as without a network. Not an Error: the caller knows what was wanted of it.
struct Unreachable {
  std::string reason;
};

/// A model at the hub. One thread at a time.
class Client {
 public:
  struct Options {
    Settings settings;
    std::string id;
    std::string revision;
    /// Whether the hub has answered before: a connection that cannot be made is then a failure that may pass.
    bool reachable = false;
    RetryPolicy retry = {};
    Backoff::Hooks hooks = {};
  };
  /// Throws Error(usage) where the downloader is not installed; asks for nothing yet.
  explicit Client(Options options);

  const Options& options() const { return options_; }

  /// GET /api/models/ID/revision/REVISION, of the model's own revision or of a commit. Throws Unreachable, or
  /// Error(checkpoint) where the model or the revision is missing, private or gated, each with what to do.
  Listing list(const std::string& revision);
  /// HEAD /ID/resolve/COMMIT/FILE: etag and size by X-Linked-Etag and X-Linked-Size, else ETag and Content-Length.
  /// Throws Error(checkpoint), also where the answer is of another commit.
  RemoteFile inspect(const std::string& commit, const std::string& file);
  /// GET of the file's bytes from an offset on, one attempt. The sink gets bytes of a 200 or 206 only, whose status and
  /// headers tell where they begin; what it returns false for comes back as Trouble::stopped. A status that asking
  /// again may change, 416, or a trouble that may pass, is returned; others are thrown as Error(checkpoint).
  Answer fetch(const std::string& commit, const std::string& file, uint64_t from, const BodySink& sink);

 private:
  struct Call;
  Answer exchange(const Call& call, const std::string& url);
  Answer follow(const Call& call);
  Answer ask(const Call& call, const std::string& file);
  void check(const Answer& answer, const std::string& file) const;
  std::string file_url(const std::string& commit, const std::string& file) const;

  Options options_;
  std::unique_ptr<Transport> transport_;
};

/// Whether asking again may help: a broken connection, 408, 429 or 5xx, or a refusal of the storage behind the hub.
bool may_pass(const Answer& answer);
/// "http://127.0.0.1:8000 answers with status 503", "Connection reset by peer"
std::string describe(const Answer& answer);

}  // namespace onnxport::hub
