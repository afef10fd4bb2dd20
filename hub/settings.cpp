// SPDX-License-Identifier: Apache-2.0
#include "hub/settings.hpp"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include "core/error.hpp"

namespace onnxport::hub {
namespace {

namespace fs = std::filesystem;

/// The variable's text; empty where it is not set.
std::string variable(const std::string& name) {
  const char* text = std::getenv(name.c_str());
  return text == nullptr ? std::string() : text;
}

bool is_true(std::string text) {
  for (char& c : text) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return text == "1" || text == "ON" || text == "YES" || text == "TRUE";
}

std::string home() {
  if (const std::string given = variable("HOME"); !given.empty()) return given;
  const passwd* entry = ::getpwuid(::getuid());
  return entry == nullptr || entry->pw_dir == nullptr ? std::string("/") : entry->pw_dir;
}

bool is_name_character(char c) {
  return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// "~/x" and "$NAME/x" or "${NAME}/x", as Python's expanduser and expandvars read them: what is not set stays.
fs::path expanded(std::string text) {
  if (text == "~" || text.starts_with("~/")) text.replace(0, 1, home());
  std::string out;
  for (size_t i = 0; i < text.size();) {
    if (text[i] != '$') {
      out += text[i++];
      continue;
    }
    const bool braced = i + 1 < text.size() && text[i + 1] == '{';
    const size_t begin = i + (braced ? 2 : 1);
    size_t end = begin;
    while (end < text.size() && (braced ? text[end] != '}' : is_name_character(text[end]))) ++end;
    const size_t after = braced ? std::min(end + 1, text.size()) : end;
    const char* value = std::getenv(text.substr(begin, end - begin).c_str());
    out += value != nullptr && end > begin ? std::string(value) : text.substr(i, after - i);
    i = after;
  }
  return out;
}

fs::path hub_home() {
  if (const std::string given = variable("HF_HOME"); !given.empty()) return expanded(given);
  if (const std::string caches = variable("XDG_CACHE_HOME"); !caches.empty()) return expanded(caches) / "huggingface";
  return fs::path(home()) / ".cache/huggingface";
}

fs::path cache_folder(const fs::path& cache_dir) {
  if (!cache_dir.empty()) return cache_dir;
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    if (const std::string given = variable(name); !given.empty()) return expanded(given);
  }
  return hub_home() / "hub";
}

/// Without line breaks, which no header can hold, and without blanks around it.
std::string clean_token(std::string text) {
  std::erase_if(text, [](char c) { return c == '\n' || c == '\r'; });
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

void read_token(Settings& settings) {
  if (is_true(variable("HF_HUB_DISABLE_IMPLICIT_TOKEN"))) return;
  for (const char* name : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}) {
    settings.token = clean_token(variable(name));
    settings.token_source = name;
    if (!settings.token.empty()) return;
  }
  const std::string given = variable("HF_TOKEN_PATH");
  const fs::path path = given.empty() ? hub_home() / "token" : expanded(given);
  std::ifstream file(path, std::ios::binary);
  settings.token = clean_token({std::istreambuf_iterator<char>(file), {}});
  settings.token_source = settings.token.empty() ? std::string() : path.string();
}

std::chrono::seconds timeout(const char* name, std::chrono::seconds usual) {
  const std::string text = variable(name);
  int seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  const bool whole = error == std::errc() && end == text.data() + text.size() && seconds > 0;
  return whole ? std::chrono::seconds(seconds) : usual;
}

std::string endpoint(const std::string& usual) {
  std::string given = variable("HF_ENDPOINT");
  while (given.ends_with('/')) given.pop_back();
  if (given.empty()) return usual;
  if (given.starts_with("https://") || given.starts_with("http://")) return given;
  throw Error(Failure::usage, fmt::format("HF_ENDPOINT is '{}', which is no address", given),
              "set it to one such as https://huggingface.co, or unset it");
}

}  // namespace

Settings Settings::from_environment(const fs::path& cache_dir) {
  Settings settings;
  settings.cache = fs::absolute(cache_folder(cache_dir)).lexically_normal();
  settings.endpoint = hub::endpoint(settings.endpoint);
  read_token(settings);
  // The second counts only where the first is not set, as in huggingface_hub.
  const char* const offline = variable("HF_HUB_OFFLINE").empty() ? "TRANSFORMERS_OFFLINE" : "HF_HUB_OFFLINE";
  if (is_true(variable(offline))) settings.offline_by = offline;
  settings.metadata_timeout = timeout("HF_HUB_ETAG_TIMEOUT", settings.metadata_timeout);
  settings.download_timeout = timeout("HF_HUB_DOWNLOAD_TIMEOUT", settings.download_timeout);
  return settings;
}

}  // namespace onnxport::hub
