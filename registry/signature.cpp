// SPDX-License-Identifier: Apache-2.0
#include "registry/signature.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <nettle/base64.h>
#include <nettle/eddsa.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string_view>

#include "core/error.hpp"
#include "core/files/output_error.hpp"
#include "registry/base64.hpp"
#include "registry/yaml.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;
using namespace std::string_view_literals;

constexpr std::string_view pem_begin = "-----BEGIN PRIVATE KEY-----\n", pem_end = "-----END PRIVATE KEY-----\n";
/// What stands before the 32 bytes in PKCS #8: a sequence of version 0, the algorithm 1.3.101.112 and the key.
constexpr std::string_view der_begin = "\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20"sv;

const uint8_t* bytes(const std::string& text) {
  return reinterpret_cast<const uint8_t*>(text.data());
}
uint8_t* bytes(std::string& text) {
  return reinterpret_cast<uint8_t*>(text.data());
}

/// The bytes; nullopt where the text is not base64 of so many.
std::optional<std::string> from_base64(std::string_view text, size_t size) {
  std::string data(BASE64_DECODE_LENGTH(text.size()), '\0');
  base64_decode_ctx context;
  base64_decode_init(&context);
  size_t length = data.size();
  const bool is_right = base64_decode_update(&context, &length, bytes(data), text.size(), text.data()) == 1 &&
                        base64_decode_final(&context) == 1;
  if (!is_right || length != size) return std::nullopt;
  data.resize(length);
  return data;
}

std::string read_bytes(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string data{std::istreambuf_iterator<char>(in), {}};
  if (in.good() || in.eof()) return data;
  throw Error(Failure::plugin, fmt::format("{}: cannot be read: {}", file.string(), std::strerror(errno)),
              "check the path and its permissions");
}

std::string public_key_of(const std::string& secret) {
  std::string key(ED25519_KEY_SIZE, '\0');
  ed25519_sha512_public_key(bytes(key), bytes(secret));
  return key;
}

}  // namespace

SigningKey SigningKey::read(const fs::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) {
    throw Error(
        Failure::usage, fmt::format("{}: cannot be read: {}", file.string(), std::strerror(errno)),
        "name a key that `onnxport plugins sign --make-key FILE` or `openssl genpkey -algorithm ed25519` wrote");
  }
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    throw Error(Failure::usage,
                fmt::format("{}: found mode {:04o}; expected a key that only its owner can read", file.string(),
                            status.st_mode & 07777),
                fmt::format("chmod 600 {}", file.string()));
  }
  const std::string text = yaml::read_text(file);
  const size_t begin = text.find(pem_begin), end = text.find(pem_end);
  std::optional<std::string> der;
  if (begin != std::string::npos && end != std::string::npos && end > begin) {
    const size_t first = begin + pem_begin.size();
    der = from_base64(std::string_view(text).substr(first, end - first), der_begin.size() + ED25519_KEY_SIZE);
  }
  if (!der || !der->starts_with(der_begin)) {
    throw Error(Failure::usage, fmt::format("{}: found no private Ed25519 key in PEM", file.string()),
                "make one with `onnxport plugins sign --make-key FILE`; an encrypted key is to be decrypted first");
  }
  SigningKey key;
  key.secret_ = der->substr(der_begin.size());
  return key;
}

SigningKey SigningKey::make(const fs::path& file) {
  SigningKey key;
  key.secret_.resize(ED25519_KEY_SIZE);
  if (::getentropy(key.secret_.data(), key.secret_.size()) != 0)
    throw Error(Failure::output, fmt::format("the system gives no random numbers: {}", std::strerror(errno)));
  const std::string text = fmt::format("{}{}\n{}", pem_begin, to_base64(std::string(der_begin) + key.secret_), pem_end);
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (descriptor < 0 && errno == EEXIST)
    throw Error(Failure::usage, fmt::format("{} is there already", file.string()), "name a file that is not there");
  if (descriptor < 0) throw output_error("cannot write", file, errno);
  const bool written = ::write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int reason = errno;
  if (::close(descriptor) != 0 || !written) throw output_error("cannot write", file, reason);
  return key;
}

std::string SigningKey::publisher() const {
  return to_base64(public_key_of(secret_));
}

fs::path SigningKey::sign(const fs::path& file) const {
  const std::string text = read_bytes(file);
  const std::string key = public_key_of(secret_);
  std::string signature(ED25519_SIGNATURE_SIZE, '\0');
  ed25519_sha512_sign(bytes(key), bytes(secret_), text.size(), bytes(text), bytes(signature));
  const fs::path beside = signature_of(file);
  std::ofstream out(beside, std::ios::binary);
  out << "ed25519: " << to_base64(signature) << "\npublisher: " << to_base64(key) << "\n";
  if (!out.flush()) throw output_error("cannot write", beside, errno);
  return beside;
}

bool is_publisher(const std::string& text) {
  return from_base64(text, ED25519_KEY_SIZE).has_value();
}

fs::path signature_of(const fs::path& file) {
  return file.string() + ".sig";
}

std::optional<std::string> verify_publisher(const fs::path& file) {
  const fs::path beside = signature_of(file);
  std::error_code error;
  if (fs::symlink_status(beside, error).type() == fs::file_type::not_found) return std::nullopt;
  const yaml::Node root = yaml::parse(yaml::read_text(beside), beside);
  yaml::Map map(root, beside, "the signature");
  const yaml::Node& publisher = map.required("publisher");
  const auto key = from_base64(yaml::string(publisher, beside, "publisher"), ED25519_KEY_SIZE);
  if (!key) yaml::fail(beside, publisher.line, "'publisher' is not 32 bytes in base64");
  const yaml::Node& sum = map.required("ed25519");
  const auto signature = from_base64(yaml::string(sum, beside, "ed25519"), ED25519_SIGNATURE_SIZE);
  if (!signature) yaml::fail(beside, sum.line, "'ed25519' is not 64 bytes in base64");
  map.finish();
  const std::string text = read_bytes(file);
  if (ed25519_sha512_verify(bytes(*key), text.size(), bytes(text), bytes(*signature)) == 1) return publisher.text;
  throw Error(Failure::plugin,
              fmt::format("{}: found other bytes than {} was made for", file.string(), beside.filename().string()),
              "the file was changed after it was signed: install the plugin again, or have its publisher sign it");
}

}  // namespace onnxport
