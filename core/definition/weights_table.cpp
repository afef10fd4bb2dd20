// SPDX-License-Identifier: Apache-2.0
// weights/1
#include "core/definition/host_tables.hpp"

namespace onnxport {
namespace {

using detail::guarded;
using detail::invalid;
using detail::text;

onnxport_status* weights_weight(onnxport_graph* self, onnxport_string name, const int64_t* shape, uint32_t rank,
                                onnxport_value* out) {
  return guarded(ONNXPORT_WEIGHTS, [&] {
    if (self->weights == nullptr) invalid("a patch has no weights of its own; it gets them as inputs");
    auto [found, weight] = self->weights->get(std::string(text(name)), std::vector<int64_t>(shape, shape + rank));
    *out = self->graph->add_weight(std::move(found), std::move(weight));
  });
}

int32_t weights_has(onnxport_graph* self, onnxport_string name) {
  return self->weights != nullptr && self->weights->has(std::string(text(name))) ? 1 : 0;
}

onnxport_status* weights_unused(onnxport_graph* self, onnxport_string pattern) {
  return guarded(ONNXPORT_INVALID_ARGUMENT, [&] {
    if (self->weights != nullptr) self->weights->mark_unused(std::string(text(pattern)));
  });
}

const onnxport_weights_1 table{sizeof(onnxport_weights_1), weights_weight, weights_has, weights_unused};

}  // namespace

const onnxport_weights_1& detail::weights_table() {
  return table;
}

}  // namespace onnxport
