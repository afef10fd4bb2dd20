// SPDX-License-Identifier: Apache-2.0
// What a plugin calls to describe a model.
#pragma once

#include <onnxport/abi.h>

#include "core/description/description.hpp"

namespace onnxport::detail {

/// A description sink over `out`; the object holds the table that the plugin calls.
struct DescriptionSink : onnxport_description {
  explicit DescriptionSink(Description& out);
  Description& out;
};

}  // namespace onnxport::detail
