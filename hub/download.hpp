// SPDX-License-Identifier: Apache-2.0
// One blob of the cache: fetched beside its place, resumed where a part is there, compared with its checksum, renamed.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "hub/cache.hpp"
#include "hub/client.hpp"

namespace onnxport::hub {

struct BlobJob {
  Client& client;
  const Repository& repository;
  const std::string& commit;
  /// Bytes that are there now and were not before; negative where a part had to be dropped.
  std::function<void(int64_t)> advance;
  /// Called while another process fetches the same blob; may throw to stop waiting.
  std::function<void()> waiting;
};

/// Brings the file's blob into the cache; nothing to do where it is there. Holds the blob's lock meanwhile. After an
/// error or an interruption the part that came is left as ETAG.incomplete, from where the next call goes on; blobs/ETAG
/// itself is only ever whole. Throws Error(checkpoint): the server does not deliver, or not these bytes; the disk is
/// full.
void download_blob(const BlobJob& job, const RemoteFile& file);

/// What a part of an earlier download has of the blob already, all of it where the blob is there.
uint64_t bytes_there(const Repository& repository, const RemoteFile& file);

}  // namespace onnxport::hub
