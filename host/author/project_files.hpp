// SPDX-License-Identifier: Apache-2.0
// The files of a new plugin's project that are the same in each but for names.
#pragma once

namespace onnxport {

inline constexpr const char* project_cmake = R"(cmake_minimum_required(VERSION 3.25)
project({name} LANGUAGES C CXX)

find_package(onnxport 0.1 REQUIRED)
onnxport_add_plugin({name}{sources})

# Every type and feature, at the lowest and the highest opset, on the recordings and on a config.
enable_testing()
onnxport_add_plugin_test({name}{cases} CONFIGS config.json)
)";

/// What follows the definition of a known type in the source that was made of it.
inline constexpr const char* like_declaration = R"(namespace {{

/// The definition tells relatives apart by their type, and to it this one is a "{known}" until it learns otherwise.
std::unique_ptr<OnnxConfig> make_like(const Request& request) {{
  Request known = request;
  known.model_type = "{known}";
  return {maker}(known);
}}

}}  // namespace

ONNXPORT_PLUGIN({{
    .id = "com.example.{name}",
    .name = "{name}",
    .version = "0.1.0",
    .license = "Apache-2.0",
    .vendor = "Example",
    .models = {{{{.types = {{"{type}"}},
                .features = {{{features}}},
{architectures}                .make = make_like}}}},
}})
)";

/// Builds and tests, on any machine that has onnxport.
inline constexpr const char* check_script = R"sh(#!/bin/sh
# Builds the plugin and tries all that it offers. ONNXPORT_PREFIX is where onnxport is installed.
set -e
cd "$(dirname "$0")"
cmake -S . -B build -DCMAKE_PREFIX_PATH="${ONNXPORT_PREFIX:-/usr/local}"
cmake --build build
ctest --test-dir build --output-on-failure
)sh";

inline constexpr const char* workflow =
    R"(# Runs ./check in an image that has onnxport and a compiler; the repository's variable ONNXPORT_IMAGE names it.
name: check
on: [push, pull_request]
jobs:
  check:
    runs-on: ubuntu-latest
    container: ${{ vars.ONNXPORT_IMAGE }}
    steps:
      - uses: actions/checkout@v4
      - run: ./check
)";

}  // namespace onnxport
