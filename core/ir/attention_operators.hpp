// SPDX-License-Identifier: Apache-2.0
// Inference for attention, its masks, heads and rotary embeddings. docs/operators.md says what their inputs are.
#pragma once

#include "core/ir/operators.hpp"

namespace onnxport::ir {

void infer_attention(Inference& x);
/// ONNX's operator of that name, as lowering yields it.
void infer_onnx_attention(Inference& x);
void infer_attention_mask(Inference& x);
void infer_causal_mask(Inference& x);
void infer_rotary_embedding(Inference& x);
void infer_split_heads(Inference& x);
void infer_merge_heads(Inference& x);

}  // namespace onnxport::ir
