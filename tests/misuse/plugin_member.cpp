// SPDX-License-Identifier: Apache-2.0
// A plugin's facts are named members; one that it does not have is told.
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

const Plugin plugin{
    .id = "org.test.facts",
#ifdef MISTAKE
    .author = "Test",
#endif
    .name = "Facts",
};

// gcc: 'const onnxport::sdk::Plugin' has no non-static data member named 'author'
// clang: field designator 'author' does not refer to any field in type 'const onnxport::sdk::Plugin'
