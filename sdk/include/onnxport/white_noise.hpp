// SPDX-License-Identifier: Apache-2.0
// Numbers in place of those that an original draws by chance when it is asked, too. They follow from their places
// alone, so that every run has the same, and all that runs a graph.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <cmath>
#include <numbers>
#include <string>

#include <onnxport/onnx_config.hpp>
#include <onnxport/operations.hpp>

namespace onnxport::sdk {

/// Whether the user gives what is drawn by chance, and the graph has inputs for it.
inline bool noise_is_given(const Request& request) {
  return request.options.choice("noise", "drawn", {"drawn", "input"}) == "input";
}

/// Numbers between 0, which is none of them, and 1, evenly: places: i64[...], of which no two are equal -> f[...].
/// `series` tells numbers apart that have the same places.
inline Value even_noise(const Operand& places, int64_t series) {
  // Of whole numbers below a prime, by a product and a power that changes their order twice; nothing leaves 64 bits.
  constexpr int64_t prime = 2147483647, factor = 48271, apart = 1000003;
  Graph& g = places.graph();
  const Value divisor = g.integer(prime);
  const auto rest = [&](const Value& x) { return g.op("Mod", {x, divisor}); };
  Value x = places + g.integer(series * apart + 1);
  for (int turn = 0; turn < 2; ++turn) {
    x = rest(rest(x) * g.integer(factor) + g.integer(apart));
    const Value square = rest(x * x);
    x = rest(rest(square * square) * x);
  }
  return cast(x + g.integer(1), DType::f32) * (1.0 / (static_cast<double>(prime) + 1));
}

/// Numbers around 0 whose spread is 1, as a normal distribution has them; the same otherwise.
inline Value normal_noise(const Operand& places, int64_t series) {
  const Value length = sqrt(log(even_noise(places, 2 * series)) * -2.0);
  return length * places.graph().op("Cos", {even_noise(places, 2 * series + 1) * (2 * std::numbers::pi)});
}

/// Places of a tensor's numbers: i64[rows, width, columns], which stay where they are when there are more columns.
/// `rows` and `columns` are i64 scalars.
struct NoiseGrid {
  Value rows;
  int64_t width;
  Value columns;
};
inline Value places_of(const NoiseGrid& grid) {
  constexpr int64_t most_rows = 65536;
  Graph& g = grid.columns.graph();
  const Value row = unsqueeze(range(grid.rows), {1, 2}), column = unsqueeze(range(grid.columns), {0, 1});
  const Value across = unsqueeze(range(g.integer(grid.width)), {0, 2});
  return (column * g.integer(grid.width) + across) * g.integer(most_rows) + row;
}

}  // namespace onnxport::sdk
