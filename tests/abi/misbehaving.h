/* SPDX-License-Identifier: Apache-2.0
 *
 * The facts of a plugin that misbehaves, which are FIXTURE_ID and FIXTURE_TYPES. Included behind its functions, the
 * table `onnx_config`. */
#include <onnxport/abi.h>
#include <stddef.h>

static const onnxport_string model_types[] = {FIXTURE_TYPES};
static const onnxport_string features[] = {TEXT("default")};
static const onnxport_model model = {
    sizeof(onnxport_model), model_types, sizeof model_types / sizeof model_types[0], features, 1, NULL, 0, NULL, 0};
static const onnxport_model* const models[] = {&model};

static const void* get_interface(onnxport_string name, uint32_t version) {
  return version == 1 && name.size == 11 ? &onnx_config : NULL;
}

static const onnxport_plugin plugin = {
    sizeof plugin,
    {sizeof(onnxport_magic), sizeof(void*) * 8, ONNXPORT_ENDIAN_MARK, ONNXPORT_ABI_MAJOR, 0, ONNXPORT_ABI_VENDOR},
    TEXT(FIXTURE_ID),
    TEXT("Hostile"),
    TEXT("1.0.0"),
    TEXT("Apache-2.0"),
    TEXT("onnxport"),
    models,
    1,
    get_interface};
