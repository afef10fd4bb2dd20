/* SPDX-License-Identifier: Apache-2.0
 *
 * A plugin as it was written for ABI 1.3, compiled against the header of that version. Nothing here ever changes.
 * y = table[ids] · mask + shift: inputs say what they are, an axis how long it may be, one input is drawn by the
 * plugin, and it knows what it does not do. */
#include <onnxport/abi.h>
#include <stdlib.h>
#include <string.h>

#define TEXT(literal) \
  { literal, sizeof(literal) - 1 }
static const onnxport_string text_size = TEXT("size");
static const onnxport_string text_ids = TEXT("ids");
static const onnxport_string text_mask = TEXT("mask");
static const onnxport_string text_shift = TEXT("shift");
static const onnxport_string text_y = TEXT("y");
static const onnxport_string text_batch = TEXT("batch");
static const onnxport_string text_places = TEXT("places");
static const onnxport_string no_text = {NULL, 0};

struct onnxport_onnx_config {
  const onnxport_host* host;
  int64_t size;
};

static onnxport_status* create(const onnxport_request* request, onnxport_onnx_config** out) {
  static const onnxport_string name = TEXT("config");
  static const onnxport_string unread = TEXT("the host offers no config or no options");
  const onnxport_host* host = request->host;
  const onnxport_config_1* config = host->get_interface(host, name, 1);
  const size_t needed = offsetof(onnxport_request, options) + sizeof request->options;
  if (config == NULL || request->struct_size < needed || config->type(request->options) != ONNXPORT_CONFIG_MAP)
    return host->status_make(ONNXPORT_UNSUPPORTED, unread, no_text);
  onnxport_onnx_config* self = malloc(sizeof *self);
  if (self == NULL) abort();
  self->host = host;
  self->size = config->as_int(config->member(request->config, text_size));
  *out = self;
  return NULL;
}

static void release(onnxport_onnx_config* self) {
  free(self);
}

static onnxport_status* describe(onnxport_onnx_config* self, onnxport_string part, onnxport_description* out) {
  const onnxport_dim row[2] = {{-1, text_batch}, {-1, text_places}};
  const onnxport_type integers = {sizeof integers, ONNXPORT_I64, 2, row};
  const onnxport_type reals = {sizeof reals, ONNXPORT_F32, 2, row};
  const onnxport_input_info ids = {sizeof ids, ONNXPORT_ROLE_IDS, no_text, 0, 0, 0, 0};
  const onnxport_input_info mask = {sizeof mask, ONNXPORT_ROLE_MASK, text_ids, 0, 0, 0, 0};
  const onnxport_axis_size places = {sizeof places, 6, 2, 32, 2};
  onnxport_status* status;
  (void)part;
  if ((status = out->input(out, text_ids, &integers)) != NULL) return status;
  if ((status = out->value_limit(out, text_ids, self->size)) != NULL) return status;
  if ((status = out->input_info(out, text_ids, &ids)) != NULL) return status;
  if ((status = out->input(out, text_mask, &integers)) != NULL) return status;
  if ((status = out->input_info(out, text_mask, &mask)) != NULL) return status;
  if ((status = out->input(out, text_shift, &reals)) != NULL) return status;
  if ((status = out->output(out, text_y, &reals)) != NULL) return status;
  return out->axis_size(out, text_places, &places);
}

/* What the nodes of one graph are built with; the first failure stays. */
typedef struct builder {
  const onnxport_graph_1* table;
  onnxport_graph* graph;
  onnxport_status* status;
} builder;

static onnxport_value node(builder* b, onnxport_string op, const onnxport_value* inputs, size_t count,
                           const onnxport_attribute* attribute) {
  static const onnxport_string scope = TEXT("step");
  onnxport_value out = 0;
  onnxport_node made;
  memset(&made, 0, sizeof made);
  made.struct_size = sizeof made;
  made.op = op;
  made.scope = scope;
  made.inputs = inputs;
  made.input_count = count;
  made.attributes = attribute;
  made.attribute_count = attribute == NULL ? 0 : 1;
  made.output_count = 1;
  if (b->status == NULL) b->status = b->table->node(b->graph, &made, &out);
  return out;
}

static onnxport_status* forward(onnxport_onnx_config* self, onnxport_string part, onnxport_graph* graph) {
  static const onnxport_string graph_name = TEXT("graph"), weights_name = TEXT("weights"), table = TEXT("table.weight");
  static const onnxport_string gather = TEXT("Gather"), cast = TEXT("Cast"), mul = TEXT("Mul"), add = TEXT("Add");
  static const onnxport_string to = TEXT("to");
  const onnxport_host* host = self->host;
  builder b = {host->get_interface(host, graph_name, 1), graph, NULL};
  const onnxport_weights_1* weights = host->get_interface(host, weights_name, 1);
  const int64_t shape[1] = {self->size};
  onnxport_value ids, mask, shift, words;
  onnxport_attribute to_f32;
  (void)part;
  if ((b.status = b.table->input(graph, text_ids, &ids)) != NULL) return b.status;
  if ((b.status = b.table->input(graph, text_mask, &mask)) != NULL) return b.status;
  if ((b.status = b.table->input(graph, text_shift, &shift)) != NULL) return b.status;
  if ((b.status = weights->weight(graph, table, shape, 1, &words)) != NULL) return b.status;
  memset(&to_f32, 0, sizeof to_f32);
  to_f32.struct_size = sizeof to_f32;
  to_f32.name = to;
  to_f32.type = ONNXPORT_ATTR_INT;
  to_f32.i = ONNXPORT_F32;
  {
    const onnxport_value looked_up[2] = {words, ids};
    const onnxport_value y = node(&b, gather, looked_up, 2, NULL);
    const onnxport_value factors[2] = {y, node(&b, cast, &mask, 1, &to_f32)};
    const onnxport_value summands[2] = {node(&b, mul, factors, 2, NULL), shift};
    const onnxport_value sum = node(&b, add, summands, 2, NULL);
    return b.status != NULL ? b.status : b.table->output(graph, text_y, sum);
  }
}

/* `shift` is 0.5 everywhere; the other inputs are the host's. */
static onnxport_status* dummy_inputs(onnxport_onnx_config* self, onnxport_string part,
                                     const onnxport_dummy_request* request, onnxport_tensors* out) {
  int64_t shape[2] = {0, 0};
  size_t i;
  (void)part;
  for (i = 0; i < request->size_count; ++i) {
    const onnxport_size* size = &request->sizes[i];
    if (size->symbol.size == text_batch.size && memcmp(size->symbol.data, text_batch.data, text_batch.size) == 0)
      shape[0] = size->size;
    if (size->symbol.size == text_places.size && memcmp(size->symbol.data, text_places.data, text_places.size) == 0)
      shape[1] = size->size;
  }
  {
    const size_t count = (size_t)(shape[0] * shape[1]);
    float* values = malloc(count * sizeof *values);
    onnxport_status* status;
    onnxport_tensor tensor = {sizeof tensor, ONNXPORT_F32, 2, shape, values, count * sizeof *values};
    (void)self;
    if (values == NULL) abort();
    for (i = 0; i < count; ++i) values[i] = 0.5f;
    status = out->add(out, text_shift, &tensor);
    free(values);
    return status;
  }
}

static const onnxport_onnx_config_1 onnx_config = {
    sizeof(onnxport_onnx_config_1), create, release, describe, forward, NULL, dummy_inputs};

static const onnxport_string model_types[] = {TEXT("frozen-1-3")};
static const onnxport_string features[] = {TEXT("default")};
static const onnxport_known_gap gaps[] = {
    {{NULL, 0}, {NULL, 0}, TEXT("upside_down=true"), TEXT("its table is read from the top")}};
static const onnxport_model model = {sizeof(onnxport_model), model_types, 1, features, 1, NULL, 0, gaps, 1};
static const onnxport_model* const models[] = {&model};

static const void* get_interface(onnxport_string name, uint32_t version) {
  static const onnxport_string wanted = TEXT("onnx-config");
  return version == 1 && name.size == wanted.size && memcmp(name.data, wanted.data, wanted.size) == 0 ? &onnx_config
                                                                                                      : NULL;
}

static const onnxport_plugin plugin = {
    sizeof(onnxport_plugin),
    {sizeof(onnxport_magic), sizeof(void*) * 8, ONNXPORT_ENDIAN_MARK, ONNXPORT_ABI_MAJOR, 3, ONNXPORT_ABI_VENDOR},
    TEXT("org.onnxport.test.frozen-1-3"),
    TEXT("Frozen at ABI 1.3"),
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
