/* SPDX-License-Identifier: Apache-2.0
 *
 * What ABI version 1.2 added to 1.1. Nothing here ever changes. */
#include <onnxport/abi.h>
#include <stddef.h>
#include <stdint.h>

#define IS(constant, value) _Static_assert((constant) == (value), #constant " has another value")

#if UINTPTR_MAX == UINT64_MAX
#define AT(type, member, offset) _Static_assert(offsetof(type, member) == (offset), #type "." #member " has moved")

AT(onnxport_description, input_info, 72);
AT(onnxport_description, axis_size, 80);
AT(onnxport_description, state, 88);

AT(onnxport_input_info, struct_size, 0);
AT(onnxport_input_info, role, 8);
AT(onnxport_input_info, of, 16);
AT(onnxport_input_info, low, 32);
AT(onnxport_input_info, high, 40);
AT(onnxport_input_info, fill, 48);
AT(onnxport_input_info, has_fill, 56);

AT(onnxport_axis_size, struct_size, 0);
AT(onnxport_axis_size, usual, 8);
AT(onnxport_axis_size, minimum, 16);
AT(onnxport_axis_size, maximum, 24);
AT(onnxport_axis_size, step, 32);

AT(onnxport_state, struct_size, 0);
AT(onnxport_state, past, 8);
AT(onnxport_state, present, 24);
AT(onnxport_state, grows, 40);

AT(onnxport_onnx_config_1, dummy_inputs, 48);

AT(onnxport_size, symbol, 0);
AT(onnxport_size, size, 16);
_Static_assert(sizeof(onnxport_size) == 24, "onnxport_size has grown, and stands in arrays");

AT(onnxport_dummy_request, struct_size, 0);
AT(onnxport_dummy_request, sizes, 8);
AT(onnxport_dummy_request, size_count, 16);
AT(onnxport_dummy_request, seed, 24);
AT(onnxport_dummy_request, varied, 32);

AT(onnxport_tensors, struct_size, 0);
AT(onnxport_tensors, add, 8);
#endif

/* onnxport_role */
IS(ONNXPORT_ROLE_OTHER, 0);
IS(ONNXPORT_ROLE_IDS, 1);
IS(ONNXPORT_ROLE_MASK, 2);
IS(ONNXPORT_ROLE_POSITIONS, 3);
IS(ONNXPORT_ROLE_TOKEN_TYPES, 4);
IS(ONNXPORT_ROLE_BOXES, 5);
IS(ONNXPORT_ROLE_PIXELS, 6);
IS(ONNXPORT_ROLE_WAVEFORM, 7);
IS(ONNXPORT_ROLE_FEATURES, 8);
IS(ONNXPORT_ROLE_STATE, 9);
IS(ONNXPORT_ROLE_HIDDEN, 10);
IS(ONNXPORT_ROLE_EMBEDDINGS, 11);
IS(ONNXPORT_ROLE_GLOBAL_MASK, 12);
IS(ONNXPORT_ROLE_FLAG, 13);
