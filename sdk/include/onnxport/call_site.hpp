// SPDX-License-Identifier: Apache-2.0
// Where a definition calls the vocabulary: a file and a line of the plugin's own source.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <cstdint>
#include <string>
#include <string_view>

namespace onnxport::sdk {

/// The line of a call, open for as long as the call lasts. Helpers call helpers: the outermost line is the author's and
/// counts, so that what an operation deep inside a block refuses is reported at the line that asked for the block. One
/// call a thread. (std::source_location is not in every compiler that builds plugins; the built-ins behind it are.)
class CallSite {
 public:
  /// `file` outlives the call: a literal.
  CallSite(const char* file, uint32_t line) : opened_(outermost_file == nullptr) {
    if (!opened_) return;
    outermost_file = file;
    outermost_line = line;
  }
  CallSite(const CallSite&) : opened_(false) {}           // a copy belongs to the same call
  CallSite& operator=(const CallSite&) { return *this; }  // which does not move to another line
  ~CallSite() {
    if (opened_) outermost_file = nullptr;
  }

  /// "roformer.cpp:57" of the call that lasts; empty outside of one.
  static std::string current() {
    if (outermost_file == nullptr) return {};
    const std::string_view path = outermost_file;
    const size_t slash = path.find_last_of("/\\");
    return std::string(slash == std::string_view::npos ? path : path.substr(slash + 1)) + ":" +
           std::to_string(outermost_line);
  }
  /// `text`, and behind it the line of the call that lasts, if there is one and it is not there already.
  static std::string located(const std::string& text) {
    const std::string line = current();
    if (line.empty()) return text;
    const std::string told = " (at " + line + ")";
    return text.ends_with(told) ? text : text + told;
  }

 private:
  inline static thread_local const char* outermost_file = nullptr;
  inline static thread_local uint32_t outermost_line = 0;
  bool opened_;
};

/// The name of an operator, as a call gives it.
class CalledName {
 public:
  CalledName(std::string_view name, const char* file = __builtin_FILE(),  // NOLINT: a text is a name
             uint32_t line = __builtin_LINE())
      : name_(name), site_(file, line) {}
  CalledName(const char* name, const char* file = __builtin_FILE(), uint32_t line = __builtin_LINE())  // NOLINT
      : CalledName(std::string_view(name), file, line) {}
  CalledName(const std::string& name, const char* file = __builtin_FILE(),  // NOLINT
             uint32_t line = __builtin_LINE())
      : CalledName(std::string_view(name), file, line) {}
  operator std::string_view() const { return name_; }  // NOLINT: and a name is a text

 private:
  std::string_view name_;
  CallSite site_;
};

}  // namespace onnxport::sdk
