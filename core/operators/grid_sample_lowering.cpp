// SPDX-License-Identifier: Apache-2.0
#include "core/operators/resampling_lowering.hpp"
#include "core/operators/sampling.hpp"

namespace onnxport::ir {
namespace {

using Ints = std::vector<int64_t>;

/// Samples by gathering the pixels around them, one or two or four a side, each with its weight.
class GatheredSamples {
 public:
  explicit GatheredSamples(Builder& b)
      : b_(b),
        image_(b.node().input(0)),
        grid_(b.node().input(1)),
        mode_(b.node().text("mode", "bilinear")),
        padding_(b.node().text("padding_mode", "zeros")),
        corners_(b.node().integer("align_corners", 0) != 0),
        taps_(mode_ == "nearest"    ? 1
              : mode_ == "bilinear" ? 2
                                    : 4) {}

  ValueId run() {
    const int64_t channels = b_.shape(image_)[1].size();
    const ValueId places = b_.reshape(grid_, {0, -1, 2});  // [batch, samples, 2]
    const Side x = side(b_.op("Gather", {places, b_.integer(0)}, {{"axis", int64_t{2}}}), b_.length(image_, 3));
    const Side y = side(b_.op("Gather", {places, b_.integer(1)}, {{"axis", int64_t{2}}}), b_.length(image_, 2));
    // Pixels row by row, [batch, height·width, channels], and their numbers, [batch, samples, taps, taps].
    const ValueId pixels = b_.transpose(b_.reshape(image_, {0, channels, -1}), {0, 2, 1});
    const ValueId rows = b_.op("Mul", {b_.unsqueeze(y.pixels, {3}), b_.length(image_, 3)});
    const ValueId numbers = b_.op("Add", {rows, b_.unsqueeze(x.pixels, {2})});
    const int64_t count = taps_ * taps_;
    const ValueId around =
        b_.op("GatherND", {pixels, b_.reshape(numbers, {0, -1, count, 1})}, {{"batch_dims", int64_t{1}}});
    const ValueId weights = b_.op("Mul", {b_.unsqueeze(y.weights, {3}), b_.unsqueeze(x.weights, {2})});
    const ValueId samples = b_.op("MatMul", {b_.reshape(weights, {0, -1, 1, count}), around});
    const ValueId by_channel = b_.transpose(b_.op("Squeeze", {samples}, {{"axes", Ints{2}}}), {0, 2, 1});
    const ValueId shape =
        b_.op("Concat", {b_.integers({0, channels}), b_.length(grid_, 1), b_.length(grid_, 2)}, {{"axis", int64_t{0}}});
    return b_.op("Reshape", {by_channel, shape});
  }

 private:
  /// Along one axis of the image: pixels i64[batch, samples, taps] and their weights f[batch, samples, taps].
  struct Side {
    ValueId pixels, weights;
  };

  ValueId number(double value) { return b_.scalar(value, b_.dtype(image_)); }
  ValueId cast(ValueId x, DType to) { return b_.op("Cast", {x}, {{"to", static_cast<int64_t>(to)}}); }
  ValueId within(ValueId at, ValueId last) { return b_.op("Min", {b_.op("Max", {at, number(0)}), last}); }

  /// Thrown back at the borders as often as it takes: at the first and last pixel's centres, or at their edges.
  ValueId reflected(ValueId at, ValueId size) {
    const ValueId low = number(corners_ ? 0 : -0.5);
    const ValueId span = corners_ ? b_.op("Max", {b_.op("Sub", {size, number(1)}), number(1)}) : size;
    const ValueId way = b_.op("Abs", {b_.op("Sub", {at, low})});
    const ValueId turns = b_.op("Floor", {b_.op("Div", {way, span})});
    const ValueId rest = b_.op("Sub", {way, b_.op("Mul", {turns, span})});
    const ValueId pairs = b_.op("Floor", {b_.op("Mul", {turns, number(0.5)})});
    const ValueId backwards = b_.op("Sub", {turns, b_.op("Mul", {pairs, number(2)})});
    const ValueId back = b_.op("Mul", {backwards, b_.op("Sub", {span, b_.op("Mul", {rest, number(2)})})});
    return b_.op("Add", {low, b_.op("Add", {rest, back})});
  }

  ValueId adjusted(ValueId at, ValueId size) {
    if (padding_ == "zeros") return at;
    return within(padding_ == "reflection" ? reflected(at, size) : at, b_.op("Sub", {size, number(1)}));
  }

  /// at: f[batch, samples] between -1 and 1; length: i64[1].
  Side side(ValueId at, ValueId length) {
    const ValueId size = cast(length, b_.dtype(image_)), last = b_.op("Sub", {size, number(1)});
    // From [-1, 1] to pixels.
    const ValueId scaled = b_.op("Mul", {b_.op("Add", {at, number(1)}), corners_ ? last : size});
    ValueId place = b_.op("Mul", {corners_ ? scaled : b_.op("Sub", {scaled, number(1)}), number(0.5)});
    const bool cubic = taps_ == 4;
    if (!cubic) place = adjusted(place, size);
    const ValueId first = b_.op(mode_ == "nearest" ? "Round" : "Floor", {place});
    std::vector<float> offsets;
    for (int64_t i = 0; i < taps_; ++i) offsets.push_back(static_cast<float>(cubic ? i - 1 : i));
    const ValueId steps =
        cast(b_.graph().add_constant(Tensor::of<float>(DType::f32, {taps_}, offsets)), b_.dtype(image_));
    ValueId pixels = b_.op("Add", {b_.unsqueeze(first, {2}), steps});
    ValueId weights = weights_at(b_.unsqueeze(b_.op("Sub", {place, first}), {2}), steps);
    if (cubic) pixels = adjusted(pixels, size);
    if (padding_ == "zeros") {
      const ValueId inside =
          b_.op("And", {b_.op("GreaterOrEqual", {pixels, number(0)}), b_.op("LessOrEqual", {pixels, last})});
      weights = b_.op("Mul", {weights, cast(inside, b_.dtype(image_))});
    }
    return {cast(within(pixels, last), DType::i64), weights};
  }

  /// fraction: f[batch, samples, 1], steps: f[taps] -> f[batch, samples, taps]
  ValueId weights_at(ValueId fraction, ValueId steps) {
    const ValueId distance = b_.op("Abs", {b_.op("Sub", {fraction, steps})});
    if (mode_ == "nearest") return b_.op("Add", {b_.op("Mul", {distance, number(0)}), number(1)});
    return taps_ == 4 ? cubic_filter(b_, distance, -0.75) : b_.op("Sub", {number(1), distance});
  }

  Builder& b_;
  const ValueId image_, grid_;
  const std::string mode_, padding_;
  const bool corners_;
  const int64_t taps_;
};

}  // namespace

Results grid_sample_by_gathering(Builder& b) {
  return {GatheredSamples(b).run()};
}

Results grid_sample_renamed(Builder& b) {
  Attributes attributes = b.node().attributes;
  const std::string mode = b.node().text("mode", "bilinear");
  attributes["mode"] = mode == "bilinear" ? std::string("linear") : mode == "bicubic" ? std::string("cubic") : mode;
  return b.keep(std::move(attributes));
}

}  // namespace onnxport::ir
