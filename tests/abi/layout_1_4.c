/* SPDX-License-Identifier: Apache-2.0
 *
 * What ABI version 1.4 added to 1.3. Nothing here ever changes. */
#include <onnxport/abi.h>
#include <stddef.h>
#include <stdint.h>

#if UINTPTR_MAX == UINT64_MAX
#define AT(type, member, offset) _Static_assert(offsetof(type, member) == (offset), #type "." #member " has moved")

AT(onnxport_scan, scope, 8);
AT(onnxport_scan, states, 24);
AT(onnxport_scan, state_count, 32);
AT(onnxport_scan, walked, 40);
AT(onnxport_scan, walked_count, 48);
AT(onnxport_scan, captures, 56);
AT(onnxport_scan, capture_count, 64);
AT(onnxport_scan, row_count, 72);
AT(onnxport_scan, step, 80);
AT(onnxport_scan, context, 88);
AT(onnxport_graph_1, scan, 72);
AT(onnxport_state, kept, 48);

AT(onnxport_component_request, config, 8);
AT(onnxport_component_request, model_type, 16);
AT(onnxport_component_request, feature, 32);
AT(onnxport_component_request, options, 48);

AT(onnxport_prefix, from, 0);
AT(onnxport_prefix, to, 16);
_Static_assert(sizeof(onnxport_prefix) == 32, "onnxport_prefix has grown, and stands in arrays");

AT(onnxport_component_call, part, 8);
AT(onnxport_component_call, scope, 24);
AT(onnxport_component_call, steps, 40);
AT(onnxport_component_call, prefixes, 56);
AT(onnxport_component_call, prefix_count, 64);
AT(onnxport_component_call, input_names, 72);
AT(onnxport_component_call, inputs, 80);
AT(onnxport_component_call, input_count, 88);
AT(onnxport_component_call, output_names, 96);
AT(onnxport_component_call, output_count, 104);

AT(onnxport_models_1, open, 8);
AT(onnxport_models_1, describe, 16);
AT(onnxport_models_1, forward, 24);
#endif
