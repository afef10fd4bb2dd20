// SPDX-License-Identifier: Apache-2.0
// The C header compiles as C++, alone and first.
#include <onnxport/abi.h>

#include <type_traits>

static_assert(std::is_standard_layout_v<onnxport_plugin> && std::is_trivially_copyable_v<onnxport_plugin>);
static_assert(std::is_same_v<onnxport_plugin_entry_fn, const onnxport_plugin* (*)(void)>);
