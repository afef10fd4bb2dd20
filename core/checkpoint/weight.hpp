// SPDX-License-Identifier: Apache-2.0
// A weight of the graph: a view of checkpoint bytes plus recorded transforms. Nothing is read until someone
// streams or materializes it.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "core/files/mapped_file.hpp"
#include "core/tensor/tensor.hpp"

namespace onnxport {

/// A small tensor that is computed of weights when somebody reads it.
class Recipe {
 public:
  virtual ~Recipe() = default;
  /// Computed once, by whoever asks first; from any thread.
  virtual const ir::Tensor& tensor() const = 0;
  virtual bool same_as(const Recipe& other) const = 0;
};

/// A tensor as it lies in a checkpoint file: little-endian, row-major or a view with strides.
struct StoredTensor {
  std::shared_ptr<const MappedFile> file;  ///< none in a model without its checkpoint
  std::string name;
  ir::DType dtype = ir::DType::undefined;
  std::vector<int64_t> shape;
  uint64_t offset = 0;           ///< of the first element in the file
  uint64_t bytes = 0;            ///< of all elements; those of a view may lie further apart, or be the same ones
  std::vector<int64_t> strides;  ///< from 0, in elements, one an axis; empty: row-major without gaps
  /// A constant that weights are computed with has its elements here, and no file.
  std::shared_ptr<const ir::Tensor> constant = nullptr;
  /// What is computed has its elements there, and no file either.
  std::shared_ptr<const Recipe> recipe = nullptr;
};

/// The strides of a row-major tensor without gaps.
std::vector<int64_t> row_major_strides(const std::vector<int64_t>& shape);
/// Whether elements with these strides lie in row-major order without gaps.
bool is_contiguous(const std::vector<int64_t>& shape, const std::vector<int64_t>& strides);

/// Swaps the last two axes.
struct TransposeMatrix {};
/// Axis i of the result is axis order[i].
struct PermuteAxes {
  std::vector<int64_t> order;
};
/// Converts to another element type, rounding to nearest even.
struct CastTo {
  ir::DType dtype;
};
/// The same bytes under another shape.
struct ReshapeTo {
  std::vector<int64_t> shape;
};
/// Every step-th row in [begin, end) of an axis.
struct SliceAxis {
  int64_t axis, begin, end, step = 1;
};
/// Repeated along axes of length 1, and along new ones in front, as numpy broadcasts.
struct ExpandTo {
  std::vector<int64_t> shape;
};
struct Weight;
enum class Arithmetic { add, subtract, multiply, divide };
/// Element by element with a weight of the same type and shape; `reversed`: that one is the left operand. Floats of 16
/// bits are computed in f32 and rounded.
struct CombineWith {
  Arithmetic how;
  std::shared_ptr<const Weight> other;
  bool reversed = false;
};
/// A function of each element.
enum class Function { negation, exponential, root, reciprocal };
struct Apply {
  Function function;
};
/// 1/√(x + epsilon), element by element: what a normalisation makes of its variance.
struct InverseRoot {
  double epsilon;
};
/// Along a new first axis: this weight, then others of the same type and shape.
struct StackWith {
  std::vector<std::shared_ptr<const Weight>> others;
};
using Transform = std::variant<TransposeMatrix, PermuteAxes, CastTo, ReshapeTo, SliceAxis, ExpandTo, CombineWith, Apply,
                               InverseRoot, StackWith>;

/// A view with its transforms, applied in order. Immutable value; cheap to copy.
struct Weight {
  std::shared_ptr<const StoredTensor> stored;
  std::vector<Transform> transforms;

  /// Type and shape after the transforms.
  ir::DType dtype() const;
  std::vector<int64_t> shape() const;
  /// Bytes after the transforms.
  uint64_t bytes() const;
  /// Another transform behind these. What it does to each piece of a stack alone is done before they are stacked.
  Weight then(Transform transform) const;
  /// The weights that are stacked; none where this is no stack.
  std::vector<Weight> pieces() const;
  /// Same stored elements and same transforms: to be written once.
  bool same_as(const Weight& other) const;
};

/// A constant as a weight, for others to be computed with.
Weight constant_weight(std::shared_ptr<const ir::Tensor> constant);
/// What a recipe makes, of that type and shape. It goes by the name of a tensor that it is made of.
Weight computed_weight(std::shared_ptr<const Recipe> recipe, std::string name, ir::DType dtype,
                       std::vector<int64_t> shape);
/// The two as numpy broadcasts them. Throws Error(internal) where types differ or shapes do not broadcast.
Weight combined(Arithmetic how, const Weight& left, const Weight& right);
/// Row r of the first axis times factor[r]: a normalisation by fixed statistics, or a layer's scale.
Weight scaled_rows(const Weight& weight, const Weight& factor);
/// Weights of one type and shape along a new first axis. Throws Error(internal) where they differ.
Weight stacked(const std::vector<Weight>& pieces);
/// What stands at each place of the first axis, where all of a weight's transforms keep to those places; else none.
std::vector<Weight> along_first_axis(const Weight& weight);

/// Whether the weight's elements are the checkpoint's, at most in another order or type, and none is computed.
bool only_moves_elements(const Weight& weight);

/// All bytes of the weight in its final form (for small ones, and for the reference back end).
ir::Tensor materialize(const Weight& weight);

}  // namespace onnxport
