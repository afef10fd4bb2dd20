// SPDX-License-Identifier: Apache-2.0
// <nlohmann/json.hpp> for precompiled headers, without the bodies of its two literals, which nothing here uses. They
// are no templates, so that each source which begins with the header, used or not, would have the whole parser
// instantiated for them at its end: half a second or more of every one of them, a tenth of a build from nothing. A
// header that is read afterwards finds the library's own guard.
#pragma once

// As templates, whose bodies wait for a use.
#define _json(text, size)          \
  _json(const char*, std::size_t); \
  template <class>                 \
  nlohmann::json unused_literal(text, size)
#define _json_pointer(text, size)          \
  _json_pointer(const char*, std::size_t); \
  template <class>                         \
  nlohmann::json::json_pointer unused_pointer_literal(text, size)
#include <nlohmann/json.hpp>
#undef _json
#undef _json_pointer
