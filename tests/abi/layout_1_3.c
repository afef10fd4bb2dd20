/* SPDX-License-Identifier: Apache-2.0
 *
 * What ABI version 1.3 added to 1.2. Nothing here ever changes. */
#include <onnxport/abi.h>
#include <stddef.h>
#include <stdint.h>

#if UINTPTR_MAX == UINT64_MAX
#define AT(type, member, offset) _Static_assert(offsetof(type, member) == (offset), #type "." #member " has moved")

AT(onnxport_model, known_gaps, 56);
AT(onnxport_model, known_gap_count, 64);

AT(onnxport_known_gap, architecture, 0);
AT(onnxport_known_gap, feature, 16);
AT(onnxport_known_gap, option, 32);
AT(onnxport_known_gap, reason, 48);
_Static_assert(sizeof(onnxport_known_gap) == 64, "onnxport_known_gap has grown, and stands in arrays");
#endif
