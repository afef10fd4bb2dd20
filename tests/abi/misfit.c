/* SPDX-License-Identifier: Apache-2.0
 *
 * A plugin that the host has to refuse, or whose functions fail in an orderly way. Macros say in which
 * respect; with none of them it loads. */
#include <onnxport/abi.h>
#include <stddef.h>

#ifndef FIXTURE_POINTER_BITS
#define FIXTURE_POINTER_BITS (sizeof(void*) * 8)
#endif
#ifndef FIXTURE_ENDIAN_MARK
#define FIXTURE_ENDIAN_MARK ONNXPORT_ENDIAN_MARK
#endif
#ifndef FIXTURE_MAJOR
#define FIXTURE_MAJOR ONNXPORT_ABI_MAJOR
#endif
#ifndef FIXTURE_MINOR
#define FIXTURE_MINOR 0
#endif
#ifndef FIXTURE_VENDOR
#define FIXTURE_VENDOR ONNXPORT_ABI_VENDOR
#endif
#ifdef FIXTURE_SMALL_PLUGIN
#define FIXTURE_PLUGIN_SIZE offsetof(onnxport_plugin, models)
#else
#define FIXTURE_PLUGIN_SIZE sizeof(onnxport_plugin)
#endif
#ifdef FIXTURE_SMALL_TABLE
#define FIXTURE_TABLE_SIZE offsetof(onnxport_onnx_config_1, forward)
#else
#define FIXTURE_TABLE_SIZE sizeof(onnxport_onnx_config_1)
#endif
#ifndef FIXTURE_FORWARD
#define FIXTURE_FORWARD forward
#endif
#ifndef FIXTURE_VERSION
#define FIXTURE_VERSION "1.0.0"
#endif
#ifndef FIXTURE_TYPE
#define FIXTURE_TYPE "misfit"
#endif
#ifndef FIXTURE_FEATURE
#define FIXTURE_FEATURE "default"
#endif
#ifndef FIXTURE_INTERFACE
#define FIXTURE_INTERFACE (version == 1 && name.size == 11 ? &onnx_config : NULL)
#endif
#ifndef FIXTURE_ENTRY
#define FIXTURE_ENTRY (&plugin)
#endif
#ifndef FIXTURE_SYMBOL
#define FIXTURE_SYMBOL onnxport_plugin_entry
#endif

#define TEXT(literal) \
  { literal, sizeof(literal) - 1 }

struct onnxport_onnx_config {
  const onnxport_host* host;
};

static onnxport_status* create(const onnxport_request* request, onnxport_onnx_config** out) {
#ifdef FIXTURE_CREATE_FAILS
  static const onnxport_string text = TEXT("the fixture refuses every config");
  static const onnxport_string place = TEXT("size");
  (void)out;
  return request->host->status_make(ONNXPORT_CONFIG, text, place);
#else
  static onnxport_onnx_config self;
  self.host = request->host;
  *out = &self;
  return NULL;
#endif
}

static void release(onnxport_onnx_config* self) {
  (void)self;
}

static onnxport_status* describe(onnxport_onnx_config* self, onnxport_string part, onnxport_description* out) {
  static const onnxport_string x = TEXT("x");
  static const onnxport_string y = TEXT("y");
  const onnxport_dim dims[1] = {{-1, TEXT("batch")}};
  const onnxport_type type = {sizeof type, ONNXPORT_F32, 1, dims};
  onnxport_status* status;
  (void)self;
  (void)part;
  if ((status = out->input(out, x, &type)) != NULL) return status;
  return out->output(out, y, &type);
}

static onnxport_status* forward(onnxport_onnx_config* self, onnxport_string part, onnxport_graph* graph) {
  static const onnxport_string text = TEXT("the fixture defines no graph");
  static const onnxport_string place = TEXT("layer.3.attention");
  (void)part;
  (void)graph;
  return self->host->status_make(ONNXPORT_UNSUPPORTED, text, place);
}

static const onnxport_onnx_config_1 onnx_config = {FIXTURE_TABLE_SIZE, create, release, describe,
                                                   FIXTURE_FORWARD,    NULL,   NULL};

static const onnxport_string model_types[] = {TEXT(FIXTURE_TYPE)};
static const onnxport_string features[] = {TEXT(FIXTURE_FEATURE)};
static const onnxport_model model = {sizeof(onnxport_model), model_types, 1, features, 1, NULL, 0};
static const onnxport_model* const models[] = {&model};

static const void* get_interface(onnxport_string name, uint32_t version) {
  /* Named whatever the macros make of it, so that no combination leaves an unused function. */
  (void)name;
  (void)version;
  (void)forward;
  (void)onnx_config;
  return FIXTURE_INTERFACE;
}

static const onnxport_plugin plugin = {
    FIXTURE_PLUGIN_SIZE,
    {sizeof(onnxport_magic), FIXTURE_POINTER_BITS, FIXTURE_ENDIAN_MARK, FIXTURE_MAJOR, FIXTURE_MINOR, FIXTURE_VENDOR},
    TEXT("org.onnxport.test.misfit"),
    TEXT("Misfit"),
    TEXT(FIXTURE_VERSION),
    TEXT("Apache-2.0"),
    TEXT("onnxport"),
    models,
    1,
    get_interface};

ONNXPORT_EXPORT const onnxport_plugin* FIXTURE_SYMBOL(void);
const onnxport_plugin* FIXTURE_SYMBOL(void) {
  (void)plugin;
  return FIXTURE_ENTRY;
}
