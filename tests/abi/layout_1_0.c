/* SPDX-License-Identifier: Apache-2.0
 *
 * The layout of ABI version 1.0 as plugins in the field have it. Nothing here ever changes: a later version
 * adds members behind these, and has a file of its own for them. A line that no longer compiles is an
 * accident in abi.h. */
#include <onnxport/abi.h>
#include <stddef.h>
#include <stdint.h>

/* The offsets of 64-bit platforms, on which the host runs. */
#if UINTPTR_MAX == UINT64_MAX
#define AT(type, member, offset) _Static_assert(offsetof(type, member) == (offset), #type "." #member " has moved")
#define END(type, member, end) \
  _Static_assert(offsetof(type, member) + sizeof(((type*)0)->member) == (end), #type "." #member " has another size")
#define SIZE(type, size) _Static_assert(sizeof(type) == (size), #type " has another size")
#define IS(constant, value) _Static_assert((constant) == (value), #constant " has another value")

/* Members of others, or entries of arrays: their whole size is fixed for as long as the major version is. */
SIZE(onnxport_string, 16);
SIZE(onnxport_dim, 24);
SIZE(onnxport_attribute, 88);
SIZE(onnxport_architecture, 32);
SIZE(onnxport_magic, 40);
SIZE(onnxport_value, 4);

/* onnxport_string */
AT(onnxport_string, data, 0);
AT(onnxport_string, size, 8);
END(onnxport_string, size, 16);

/* onnxport_dim */
AT(onnxport_dim, size, 0);
AT(onnxport_dim, symbol, 8);
END(onnxport_dim, symbol, 24);

/* onnxport_type */
AT(onnxport_type, struct_size, 0);
AT(onnxport_type, dtype, 8);
AT(onnxport_type, rank, 12);
AT(onnxport_type, dims, 16);
END(onnxport_type, dims, 24);

/* onnxport_tensor */
AT(onnxport_tensor, struct_size, 0);
AT(onnxport_tensor, dtype, 8);
AT(onnxport_tensor, rank, 12);
AT(onnxport_tensor, shape, 16);
AT(onnxport_tensor, data, 24);
AT(onnxport_tensor, bytes, 32);
END(onnxport_tensor, bytes, 40);

/* onnxport_attribute */
AT(onnxport_attribute, struct_size, 0);
AT(onnxport_attribute, name, 8);
AT(onnxport_attribute, type, 24);
AT(onnxport_attribute, i, 32);
AT(onnxport_attribute, f, 40);
AT(onnxport_attribute, s, 48);
AT(onnxport_attribute, ints, 64);
AT(onnxport_attribute, floats, 72);
AT(onnxport_attribute, count, 80);
END(onnxport_attribute, count, 88);

/* onnxport_host */
AT(onnxport_host, struct_size, 0);
AT(onnxport_host, abi_major, 8);
AT(onnxport_host, abi_minor, 12);
AT(onnxport_host, name, 16);
AT(onnxport_host, version, 32);
AT(onnxport_host, get_interface, 48);
AT(onnxport_host, status_make, 56);
AT(onnxport_host, status_code, 64);
AT(onnxport_host, status_text, 72);
AT(onnxport_host, status_place, 80);
AT(onnxport_host, status_release, 88);
END(onnxport_host, status_release, 96);

/* onnxport_node */
AT(onnxport_node, struct_size, 0);
AT(onnxport_node, domain, 8);
AT(onnxport_node, op, 24);
AT(onnxport_node, scope, 40);
AT(onnxport_node, inputs, 56);
AT(onnxport_node, input_count, 64);
AT(onnxport_node, attributes, 72);
AT(onnxport_node, attribute_count, 80);
AT(onnxport_node, output_count, 88);
END(onnxport_node, output_count, 96);

/* onnxport_graph_1 */
AT(onnxport_graph_1, struct_size, 0);
AT(onnxport_graph_1, input, 8);
AT(onnxport_graph_1, node, 16);
AT(onnxport_graph_1, constant, 24);
AT(onnxport_graph_1, output, 32);
AT(onnxport_graph_1, mark, 40);
AT(onnxport_graph_1, wants, 48);
AT(onnxport_graph_1, type_of, 56);
AT(onnxport_graph_1, has_operator, 64);
END(onnxport_graph_1, has_operator, 72);

/* onnxport_weights_1 */
AT(onnxport_weights_1, struct_size, 0);
AT(onnxport_weights_1, weight, 8);
AT(onnxport_weights_1, has, 16);
AT(onnxport_weights_1, unused, 24);
END(onnxport_weights_1, unused, 32);

/* onnxport_config_1 */
AT(onnxport_config_1, struct_size, 0);
AT(onnxport_config_1, member, 8);
AT(onnxport_config_1, entry, 16);
AT(onnxport_config_1, type, 24);
AT(onnxport_config_1, size, 32);
AT(onnxport_config_1, as_bool, 40);
AT(onnxport_config_1, as_int, 48);
AT(onnxport_config_1, as_float, 56);
AT(onnxport_config_1, as_string, 64);
AT(onnxport_config_1, key, 72);
END(onnxport_config_1, key, 80);

/* onnxport_log_1 */
AT(onnxport_log_1, struct_size, 0);
AT(onnxport_log_1, message, 8);
END(onnxport_log_1, message, 16);

/* onnxport_magic */
AT(onnxport_magic, struct_size, 0);
AT(onnxport_magic, pointer_bits, 8);
AT(onnxport_magic, endian_mark, 12);
AT(onnxport_magic, abi_major, 16);
AT(onnxport_magic, abi_minor_needed, 20);
AT(onnxport_magic, vendor, 24);
END(onnxport_magic, vendor, 40);

/* onnxport_architecture */
AT(onnxport_architecture, name, 0);
AT(onnxport_architecture, feature, 16);
END(onnxport_architecture, feature, 32);

/* onnxport_model */
AT(onnxport_model, struct_size, 0);
AT(onnxport_model, model_types, 8);
AT(onnxport_model, model_type_count, 16);
AT(onnxport_model, features, 24);
AT(onnxport_model, feature_count, 32);
AT(onnxport_model, architectures, 40);
AT(onnxport_model, architecture_count, 48);
END(onnxport_model, architecture_count, 56);

/* onnxport_description */
AT(onnxport_description, struct_size, 0);
AT(onnxport_description, input, 8);
AT(onnxport_description, output, 16);
AT(onnxport_description, integer, 24);
AT(onnxport_description, real, 32);
AT(onnxport_description, text, 40);
AT(onnxport_description, value_override, 48);
AT(onnxport_description, patch, 56);
AT(onnxport_description, value_limit, 64);
END(onnxport_description, value_limit, 72);

/* onnxport_request */
AT(onnxport_request, struct_size, 0);
AT(onnxport_request, host, 8);
AT(onnxport_request, config, 16);
AT(onnxport_request, model_type, 24);
AT(onnxport_request, feature, 40);
END(onnxport_request, feature, 56);

/* onnxport_onnx_config_1 */
AT(onnxport_onnx_config_1, struct_size, 0);
AT(onnxport_onnx_config_1, create, 8);
AT(onnxport_onnx_config_1, release, 16);
AT(onnxport_onnx_config_1, describe, 24);
AT(onnxport_onnx_config_1, forward, 32);
AT(onnxport_onnx_config_1, lower, 40);
END(onnxport_onnx_config_1, lower, 48);

/* onnxport_plugin */
AT(onnxport_plugin, struct_size, 0);
AT(onnxport_plugin, magic, 8);
AT(onnxport_plugin, id, 48);
AT(onnxport_plugin, name, 64);
AT(onnxport_plugin, version, 80);
AT(onnxport_plugin, license, 96);
AT(onnxport_plugin, vendor, 112);
AT(onnxport_plugin, models, 128);
AT(onnxport_plugin, model_count, 136);
AT(onnxport_plugin, get_interface, 144);
END(onnxport_plugin, get_interface, 152);

/* onnxport_code */
IS(ONNXPORT_OK, 0);
IS(ONNXPORT_INVALID_ARGUMENT, 1);
IS(ONNXPORT_UNSUPPORTED, 2);
IS(ONNXPORT_CONFIG, 3);
IS(ONNXPORT_WEIGHTS, 4);
IS(ONNXPORT_GRAPH, 5);
IS(ONNXPORT_INTERNAL, 6);

/* onnxport_dtype */
IS(ONNXPORT_UNDEFINED, 0);
IS(ONNXPORT_F32, 1);
IS(ONNXPORT_U8, 2);
IS(ONNXPORT_I8, 3);
IS(ONNXPORT_U16, 4);
IS(ONNXPORT_I16, 5);
IS(ONNXPORT_I32, 6);
IS(ONNXPORT_I64, 7);
IS(ONNXPORT_BOOL, 9);
IS(ONNXPORT_F16, 10);
IS(ONNXPORT_F64, 11);
IS(ONNXPORT_U32, 12);
IS(ONNXPORT_U64, 13);
IS(ONNXPORT_BF16, 16);
IS(ONNXPORT_F8E4M3FN, 17);
IS(ONNXPORT_F8E5M2, 19);

/* onnxport_attribute_type */
IS(ONNXPORT_ATTR_INT, 1);
IS(ONNXPORT_ATTR_FLOAT, 2);
IS(ONNXPORT_ATTR_STRING, 3);
IS(ONNXPORT_ATTR_INTS, 4);
IS(ONNXPORT_ATTR_FLOATS, 5);

/* onnxport_config_type */
IS(ONNXPORT_CONFIG_ABSENT, 0);
IS(ONNXPORT_CONFIG_NULL, 1);
IS(ONNXPORT_CONFIG_BOOL, 2);
IS(ONNXPORT_CONFIG_INT, 3);
IS(ONNXPORT_CONFIG_FLOAT, 4);
IS(ONNXPORT_CONFIG_STRING, 5);
IS(ONNXPORT_CONFIG_LIST, 6);
IS(ONNXPORT_CONFIG_MAP, 7);

/* onnxport_log_level */
IS(ONNXPORT_LOG_DEBUG, 0);
IS(ONNXPORT_LOG_NOTE, 1);
IS(ONNXPORT_LOG_WARNING, 2);

IS(ONNXPORT_ABI_MAJOR, 1);
IS(ONNXPORT_ENDIAN_MARK, 0x01020304);
#endif
