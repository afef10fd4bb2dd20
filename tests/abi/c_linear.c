/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole plugin in plain C: one Linear layer, y = x · weightᵀ, whose width is the config's "size". */
#include <onnxport/abi.h>
#include <stdlib.h>
#include <string.h>

#define TEXT(literal) \
  { literal, sizeof(literal) - 1 }
static const onnxport_string text_size = TEXT("size");
static const onnxport_string text_x = TEXT("x");
static const onnxport_string text_y = TEXT("y");
static const onnxport_string text_batch = TEXT("batch");
static const onnxport_string text_sequence = TEXT("sequence");
static const onnxport_string no_text = {NULL, 0};

struct onnxport_onnx_config {
  const onnxport_host* host;
  int64_t size;
};

static onnxport_status* create(const onnxport_request* request, onnxport_onnx_config** out) {
  static const onnxport_string name = TEXT("config");
  static const onnxport_string no_interface = TEXT("the host does not offer the interface \"config\" 1");
  static const onnxport_string not_positive = TEXT("size must be a positive integer");
  static const onnxport_string no_memory = TEXT("out of memory");
  const onnxport_host* host = request->host;
  const onnxport_config_1* config = host->get_interface(host, name, 1);
  if (config == NULL) return host->status_make(ONNXPORT_UNSUPPORTED, no_interface, no_text);
  const onnxport_config* size = config->member(request->config, text_size);
  if (config->type(size) != ONNXPORT_CONFIG_INT || config->as_int(size) <= 0) {
    return host->status_make(ONNXPORT_CONFIG, not_positive, text_size);
  }
  onnxport_onnx_config* self = malloc(sizeof *self);
  if (self == NULL) return host->status_make(ONNXPORT_INTERNAL, no_memory, no_text);
  self->host = host;
  self->size = config->as_int(size);
  *out = self;
  return NULL;
}

static void release(onnxport_onnx_config* self) {
  free(self);
}

static onnxport_status* describe(onnxport_onnx_config* self, onnxport_string part, onnxport_description* out) {
  static const onnxport_string default_opset = TEXT("default_opset");
  static const onnxport_string min_opset = TEXT("min_opset");
  static const onnxport_string atol = TEXT("atol_for_validation");
  const onnxport_dim dims[3] = {{-1, text_batch}, {-1, text_sequence}, {self->size, no_text}};
  const onnxport_type type = {sizeof type, ONNXPORT_F32, 3, dims};
  onnxport_status* status;
  (void)part;
  if ((status = out->input(out, text_x, &type)) != NULL) return status;
  if ((status = out->output(out, text_y, &type)) != NULL) return status;
  if ((status = out->integer(out, default_opset, 17)) != NULL) return status;
  if ((status = out->integer(out, min_opset, 13)) != NULL) return status;
  return out->real(out, atol, 1e-5);
}

static onnxport_status* forward(onnxport_onnx_config* self, onnxport_string part, onnxport_graph* graph) {
  static const onnxport_string graph_name = TEXT("graph");
  static const onnxport_string weights_name = TEXT("weights");
  static const onnxport_string weight_name = TEXT("linear.weight");
  static const onnxport_string domain = TEXT("onnxport");
  static const onnxport_string op = TEXT("Linear");
  static const onnxport_string scope = TEXT("linear");
  static const onnxport_string no_interface = TEXT("the host does not offer \"graph\" 1 and \"weights\" 1");
  const onnxport_host* host = self->host;
  const onnxport_graph_1* builder = host->get_interface(host, graph_name, 1);
  const onnxport_weights_1* weights = host->get_interface(host, weights_name, 1);
  const int64_t shape[2] = {self->size, self->size};
  onnxport_value inputs[2];
  onnxport_value y;
  onnxport_status* status;
  (void)part;
  if (builder == NULL || weights == NULL) return host->status_make(ONNXPORT_UNSUPPORTED, no_interface, no_text);
  if ((status = builder->input(graph, text_x, &inputs[0])) != NULL) return status;
  if ((status = weights->weight(graph, weight_name, shape, 2, &inputs[1])) != NULL) return status;
  onnxport_node node;
  memset(&node, 0, sizeof node);
  node.struct_size = sizeof node;
  node.domain = domain;
  node.op = op;
  node.scope = scope;
  node.inputs = inputs;
  node.input_count = 2;
  node.output_count = 1;
  if ((status = builder->node(graph, &node, &y)) != NULL) return status;
  return builder->output(graph, text_y, y);
}

static const onnxport_onnx_config_1 onnx_config = {
    sizeof(onnxport_onnx_config_1), create, release, describe, forward, NULL, NULL};

static const onnxport_string model_types[] = {TEXT("c-linear")};
static const onnxport_string features[] = {TEXT("default")};
static const onnxport_known_gap known_gaps[] = {
    {{NULL, 0}, {NULL, 0}, TEXT("bias=true"), TEXT("the matrix is all that it has")}};
static const onnxport_model model = {sizeof(onnxport_model), model_types, 1, features, 1, NULL, 0, known_gaps, 1};
static const onnxport_model* const models[] = {&model};

static const void* get_interface(onnxport_string name, uint32_t version) {
  static const onnxport_string wanted = TEXT("onnx-config");
  return version == 1 && name.size == wanted.size && memcmp(name.data, wanted.data, wanted.size) == 0 ? &onnx_config
                                                                                                      : NULL;
}

static const onnxport_plugin plugin = {
    sizeof(onnxport_plugin),
    {sizeof(onnxport_magic), sizeof(void*) * 8, ONNXPORT_ENDIAN_MARK, ONNXPORT_ABI_MAJOR, 0, ONNXPORT_ABI_VENDOR},
    TEXT("org.onnxport.test.c-linear"),
    TEXT("Linear in C"),
    TEXT("1.0.0"),
    TEXT("Apache-2.0"),
    TEXT("onnxport"),
    models,
    1,
    get_interface};

ONNXPORT_EXPORT const onnxport_plugin* onnxport_plugin_entry(void);
const onnxport_plugin* onnxport_plugin_entry(void) {
  return &plugin;
}
