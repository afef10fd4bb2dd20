/* SPDX-License-Identifier: Apache-2.0
 *
 * A plugin whose functions come back in an orderly way, and give what no plugin may give. The model type says what. */
#include <onnxport/abi.h>
#include <stdint.h>
#include <string.h>

#define TEXT(literal) \
  { literal, sizeof(literal) - 1 }

struct onnxport_onnx_config {
  const onnxport_host* host;
  char type[64];
};

static int is(const onnxport_onnx_config* self, const char* type) {
  return strcmp(self->type, type) == 0;
}

static onnxport_string string_of(const char* data, size_t size) {
  const onnxport_string string = {data, size};
  return string;
}
static onnxport_string string(const char* data) {
  return string_of(data, strlen(data));
}

static char filler[1 << 16];
static onnxport_string long_string(void) {
  memset(filler, 'n', sizeof filler);
  return string_of(filler, sizeof filler);
}

static onnxport_status* create(const onnxport_request* request, onnxport_onnx_config** out) {
  static onnxport_onnx_config self;
  const size_t size = request->model_type.size;
  self.host = request->host;
  memset(self.type, 0, sizeof self.type);
  memcpy(self.type, request->model_type.data, size < 63 ? size : 63);
  if (is(&self, "status-null")) return self.host->status_make(ONNXPORT_GRAPH, string_of(NULL, 9), string("here"));
  *out = &self;
  return NULL;
}

static void release(onnxport_onnx_config* self) {
  (void)self;
}

#define TRY(call) \
  if ((status = (call)) != NULL) return status

static onnxport_status* describe_facts(const onnxport_onnx_config* self, onnxport_description* out) {
  onnxport_status* status;
  const onnxport_axis_size axis = {sizeof axis, INT64_MAX / 4, INT64_MAX / 4, INT64_MAX, 1};
  if (is(self, "axis-length")) TRY(out->axis_size(out, string("batch"), &axis));
  if (is(self, "layers")) TRY(out->integer(out, string("num_layers"), -1));
  if (is(self, "positions")) TRY(out->integer(out, string("max_positions"), INT64_MIN));
  if (is(self, "opset")) TRY(out->integer(out, string("min_opset"), INT64_MAX));
  if (is(self, "tolerance")) TRY(out->real(out, string("atol_for_validation"), 1e30));
  if (is(self, "part-path")) TRY(out->text(out, string("parts"), string("decoder,../../etc")));
  if (is(self, "text-null")) TRY(out->text(out, string("parts"), string_of(NULL, 7)));
  if (is(self, "override")) TRY(out->value_override(out, string("size"), string("{{{")));
  if (is(self, "many-parts")) {
    for (size_t i = 0; i < sizeof filler; ++i) filler[i] = i % 2 == 0 ? 'p' : ',';
    TRY(out->text(out, string("parts"), string_of(filler, sizeof filler - 1)));
  }
  if (is(self, "role-null")) TRY(out->input_info(out, string("x"), NULL));
  if (is(self, "lowers-to-nothing")) TRY(out->patch(out, string(""), string("Relu"), 1));
  return NULL;
}

static onnxport_status* describe(onnxport_onnx_config* self, onnxport_string part, onnxport_description* out) {
  const onnxport_dim dims[2] = {{-1, TEXT("batch")}, {4, {NULL, 0}}};
  const onnxport_dim wide[2] = {{-1, TEXT("batch")}, {INT64_C(1) << 30, {NULL, 0}}};
  const onnxport_dim vast[2] = {{INT64_MAX, {NULL, 0}}, {INT64_MAX, {NULL, 0}}};
  onnxport_type type = {sizeof type, ONNXPORT_F32, 2, dims};
  onnxport_type odd = type;
  const onnxport_axis_size many = {sizeof many, INT64_C(1) << 26, INT64_C(1) << 26, 0, 1};
  onnxport_status* status;
  (void)part;
  if (is(self, "name-null")) TRY(out->input(out, string_of(NULL, 4), &type));
  if (is(self, "name-empty")) TRY(out->input(out, string(""), &type));
  if (is(self, "name-binary")) TRY(out->input(out, string_of("a\xff\0\x1b", 4), &type));
  if (is(self, "name-long")) TRY(out->input(out, long_string(), &type));
  if (is(self, "type-null")) TRY(out->input(out, string("w"), NULL));
  odd.rank = 4000000000u;
  if (is(self, "type-axes")) TRY(out->input(out, string("w"), &odd));
  odd.rank = 2;
  odd.dims = vast;
  if (is(self, "type-vast")) TRY(out->input(out, string("w"), &odd));
  odd.dims = NULL;
  if (is(self, "type-nowhere")) TRY(out->input(out, string("w"), &odd));
  odd = type;
  odd.struct_size = 0;
  if (is(self, "type-small")) TRY(out->input(out, string("w"), &odd));
  if (is(self, "unforeseen")) type.dims = wide;
  TRY(out->input(out, string("x"), &type));
  for (int i = 0; is(self, "many-inputs") && i < 300000; ++i) {
    char name[] = "i0000000";
    for (int at = 7, rest = i; at > 0; --at, rest /= 10) name[at] = (char)('0' + rest % 10);
    TRY(out->input(out, string(name), &type));
  }
  if (is(self, "unforeseen")) TRY(out->axis_size(out, string("batch"), &many));
  TRY(out->output(out, string("y"), &type));
  return describe_facts(self, out);
}

/* What is wrong with a weight, or with a constant. */
static onnxport_status* tensors(const onnxport_onnx_config* self, onnxport_graph* graph) {
  const onnxport_graph_1* table = self->host->get_interface(self->host, string("graph"), 1);
  const onnxport_weights_1* weights = self->host->get_interface(self->host, string("weights"), 1);
  const int64_t shape[2] = {4, 4}, negative[2] = {-1, 4}, vast[2] = {INT64_C(1) << 32, INT64_C(1) << 32};
  const float number = 1;
  onnxport_tensor tensor = {sizeof tensor, ONNXPORT_F32, 2, shape, &number, 64};
  onnxport_value out;
  onnxport_status* status;
  if (is(self, "weight-null")) TRY(weights->weight(graph, string_of(NULL, 8), shape, 2, &out));
  if (is(self, "weight-binary")) TRY(weights->weight(graph, string_of("a\xff\0\x1b", 4), shape, 2, &out));
  if (is(self, "weight-long")) TRY(weights->weight(graph, long_string(), shape, 2, &out));
  if (is(self, "weight-axes")) TRY(weights->weight(graph, string("w"), shape, 4000000000u, &out));
  if (is(self, "weight-nowhere")) TRY(weights->weight(graph, string("w"), NULL, 2, &out));
  if (is(self, "weight-negative")) TRY(weights->weight(graph, string("w"), negative, 2, &out));
  tensor.data = NULL;
  if (is(self, "constant-null")) TRY(table->constant(graph, &tensor, &out));
  tensor.data = &number;
  tensor.shape = negative;
  if (is(self, "constant-negative")) TRY(table->constant(graph, &tensor, &out));
  tensor.shape = vast;
  tensor.bytes = 0;
  if (is(self, "constant-vast")) TRY(table->constant(graph, &tensor, &out));
  return NULL;
}

static onnxport_status* forward(onnxport_onnx_config* self, onnxport_string part, onnxport_graph* graph) {
  const onnxport_graph_1* table = self->host->get_interface(self->host, string("graph"), 1);
  onnxport_value in, out;
  onnxport_node node = {sizeof node, TEXT(""), TEXT("Relu"), TEXT("relu"), &in, 1, NULL, 0, 1};
  onnxport_attribute ints = {sizeof ints, TEXT("axis"), ONNXPORT_ATTR_INTS, 0, 0, TEXT(""), NULL, NULL, 3};
  onnxport_status* status;
  (void)part;
  TRY(tensors(self, graph));
  TRY(table->input(graph, string("x"), &in));
  if (is(self, "node-null")) TRY(table->node(graph, NULL, &out));
  if (is(self, "node-outputs-null")) TRY(table->node(graph, &node, NULL));
  if (is(self, "node-small")) node.struct_size = 0;
  if (is(self, "node-inputs-null")) node.inputs = NULL;
  if (is(self, "node-inputs")) node.input_count = SIZE_MAX;
  if (is(self, "node-outputs")) node.output_count = SIZE_MAX;
  if (is(self, "node-no-outputs")) node.output_count = 0;
  if (is(self, "node-attributes-null")) node.attribute_count = 3;
  if (is(self, "node-numbers-null")) node.attributes = &ints, node.attribute_count = 1;
  if (is(self, "node-op-null")) node.op = string_of(NULL, 5);
  if (is(self, "node-scope-binary")) node.scope = string_of("a\xff\0\x1b", 4);
  if (is(self, "node-scope-long")) node.scope = long_string();
  TRY(table->node(graph, &node, &out));
  return table->output(graph, string("y"), out);
}

static onnxport_status* lower(onnxport_onnx_config* self, uint64_t tag, onnxport_graph* graph,
                              const onnxport_node* node, onnxport_value* outputs) {
  (void)self;
  (void)tag;
  (void)graph;
  (void)node;
  outputs[0] = 4000000000u;
  return NULL;
}

static const onnxport_onnx_config_1 onnx_config = {sizeof onnx_config, create, release, describe, forward, lower, NULL};

#include "misbehaving.h"

ONNXPORT_EXPORT const onnxport_plugin* onnxport_plugin_entry(void);
const onnxport_plugin* onnxport_plugin_entry(void) {
  return &plugin;
}
