// SPDX-License-Identifier: Apache-2.0
#include "core/files/content.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "core/error.hpp"

namespace onnxport {
namespace {

constexpr std::string_view again = "download the file again, from where the file itself is (…/resolve/main/…)";
constexpr std::string_view unpack = "unpack it, and put the file that it holds in its place";
constexpr std::string_view is_torch = "where it is a state dict of this model, rename it to pytorch_model.bin";
constexpr std::string_view original = "export the checkpoint that it was made of, as save_pretrained writes it";

constexpr Content contents[] = {
    git_lfs_pointer,
    {"<!DOCTYPE", "a web page, not the file itself", again},
    {"<!doctype", "a web page, not the file itself", again},
    {"<html", "a web page, not the file itself", again},
    {"<?xml", "an answer of a server in XML, not the file itself", again},
    {"{\"error\"", "an error that a server answered with, not the file itself", again},
    {"Entry not found", "an error that a server answered with, not the file itself", again},
    {"Repository not found", "an error that a server answered with, not the file itself", again},
    {"Access to ", "an error that a server answered with, not the file itself", again},
    {"Invalid ", "an error that a server answered with, not the file itself", again},
    {"GGUF", "a GGUF file", original},
    {"\x89HDF", "an HDF5 file, as TensorFlow and Keras write it",
     "load it with transformers and save it with save_pretrained; export that folder"},
    {"\x1f\x8b", "an archive (gzip)", unpack},
    {"BZh", "an archive (bzip2)", unpack},
    {"\xfd"
     "7zXZ",
     "an archive (xz)", unpack},
    {"\x28\xb5\x2f\xfd", "an archive (zstd)", unpack},
    {"7z\xbc\xaf", "an archive (7z)", unpack},
    {"PK\x03\x04", "a zip archive, as torch.save writes it", is_torch},
    {"\x80\x02", "a pickle, as torch.save once wrote it", is_torch},
};

/// Behind the length of its header, the header itself.
constexpr Content safetensors{"{\"", "a safetensors file", "rename it to model.safetensors"};

}  // namespace

const Content* content_of(std::string_view bytes) {
  const auto found = std::find_if(std::begin(contents), std::end(contents),
                                  [&](const Content& one) { return bytes.starts_with(one.begin); });
  if (found != std::end(contents)) return &*found;
  constexpr size_t header = 8;
  return bytes.size() > header && bytes.substr(header).starts_with(safetensors.begin) ? &safetensors : nullptr;
}

void refuse_other_content(std::string_view bytes, const std::string& path) {
  if (const Content* content = content_of(bytes); content != nullptr)
    throw Error(Failure::checkpoint, fmt::format("{} is {}", path, content->what), std::string(content->next_step));
}

void refuse_other_content(std::span<const std::byte> bytes, const std::string& path) {
  refuse_other_content(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()), path);
}

}  // namespace onnxport
