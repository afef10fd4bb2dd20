// SPDX-License-Identifier: Apache-2.0
// A plugin that breaks its promise and lets exceptions out of the functions of the ABI. The model type says
// where from. With FIXTURE_THROWING_ENTRY the entry function throws, with FIXTURE_THROWING_INTERFACE
// get_interface does.
#include <onnxport/abi.h>

#include <stdexcept>
#include <string_view>

struct onnxport_onnx_config {
  std::string_view type;
};

namespace {

template <size_t size>
constexpr onnxport_string text(const char (&literal)[size]) {
  return {literal, size - 1};
}

constexpr onnxport_string types[] = {text("throws-in-create"), text("throws-in-describe"), text("throws-in-forward")};

onnxport_status* create(const onnxport_request* request, onnxport_onnx_config** out) {
  const std::string_view asked(request->model_type.data, request->model_type.size);
  if (asked == "throws-in-create") throw std::runtime_error("thrown in create()");
  for (const onnxport_string& type : types) {
    const std::string_view known(type.data, type.size);
    if (known == asked) *out = new onnxport_onnx_config{known};
  }
  return nullptr;
}

void release(onnxport_onnx_config* self) {
  delete self;
}

onnxport_status* describe(onnxport_onnx_config* self, onnxport_string, onnxport_description* out) {
  if (self->type == "throws-in-describe") throw std::runtime_error("thrown in describe()");
  const onnxport_dim dims[] = {{-1, text("batch")}};
  const onnxport_type type{sizeof(onnxport_type), ONNXPORT_F32, 1, dims};
  if (onnxport_status* status = out->input(out, text("x"), &type)) return status;
  return out->output(out, text("y"), &type);
}

onnxport_status* forward(onnxport_onnx_config*, onnxport_string, onnxport_graph*) {
  throw 42;  // not even a std::exception
}

const onnxport_onnx_config_1 table{
    sizeof(onnxport_onnx_config_1), create, release, describe, forward, nullptr, nullptr};

constexpr onnxport_string features[] = {text("default")};
const onnxport_model model{sizeof(onnxport_model), types, 3, features, 1, nullptr, 0};
const onnxport_model* const models[] = {&model};

const void* get_interface(onnxport_string name, uint32_t version) {
#ifdef FIXTURE_THROWING_INTERFACE
  throw std::runtime_error("thrown in get_interface()");
#endif
  return version == 1 && std::string_view(name.data, name.size) == "onnx-config" ? &table : nullptr;
}

const onnxport_plugin plugin{
    sizeof(onnxport_plugin),
    {sizeof(onnxport_magic), sizeof(void*) * 8, ONNXPORT_ENDIAN_MARK, ONNXPORT_ABI_MAJOR, 0, ONNXPORT_ABI_VENDOR},
    text("org.onnxport.test.throws"),
    text("Throws"),
    text("1.0.0"),
    text("Apache-2.0"),
    text("onnxport"),
    models,
    1,
    get_interface};

}  // namespace

extern "C" ONNXPORT_EXPORT const onnxport_plugin* onnxport_plugin_entry(void) {
#ifdef FIXTURE_THROWING_ENTRY
  throw std::runtime_error("thrown in the entry function");
#endif
  return &plugin;
}
