/* SPDX-License-Identifier: Apache-2.0
 *
 * What ABI version 1.1 added to 1.0. Nothing here ever changes. */
#include <onnxport/abi.h>
#include <stddef.h>
#include <stdint.h>

#if UINTPTR_MAX == UINT64_MAX
_Static_assert(offsetof(onnxport_request, options) == 56, "onnxport_request.options has moved");
#endif
