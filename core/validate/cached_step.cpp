// SPDX-License-Identifier: Apache-2.0
#include "core/validate/cached_step.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace onnxport {
namespace {

constexpr std::string_view present = "present.";

bool is_present(const std::string& name) {
  return name.starts_with(present);
}

/// Zeroes the rows of padded places, so that they compare equal: axis 0 is the batch, axis `axis` the places from
/// `begin` of the mask on.
void blank_padding(ir::Tensor& tensor, size_t axis, const ir::Tensor& mask, int64_t begin) {
  const int64_t batch = tensor.shape[0], places = tensor.shape[axis];
  size_t inner = ir::size_of(tensor.dtype);
  for (size_t i = axis + 1; i < tensor.shape.size(); ++i) inner *= static_cast<size_t>(tensor.shape[i]);
  size_t between = 1;
  for (size_t i = 1; i < axis; ++i) between *= static_cast<size_t>(tensor.shape[i]);
  const auto counts = mask.as<int64_t>();
  std::byte* row = tensor.data.data();
  for (int64_t b = 0; b < batch; ++b) {
    for (size_t m = 0; m < between; ++m) {
      for (int64_t place = 0; place < places; ++place, row += inner) {
        const auto at = static_cast<size_t>(b * mask.shape[1] + begin + place);
        if (counts[at] == 0) std::memset(row, 0, inner);
      }
    }
  }
}

}  // namespace

Tensors as_past(const Tensors& outputs) {
  Tensors past;
  for (const auto& [name, tensor] : outputs) {
    if (is_present(name)) past.emplace("past_key_values." + name.substr(present.size()), tensor);
  }
  return past;
}

ir::Tensor along_sequence(const ir::Tensor& tensor, int64_t begin, int64_t end) {
  ir::Tensor part{tensor.dtype, tensor.shape, {}};
  part.shape[1] = end - begin;
  size_t inner = ir::size_of(tensor.dtype);
  for (size_t i = 2; i < tensor.shape.size(); ++i) inner *= static_cast<size_t>(tensor.shape[i]);
  for (int64_t b = 0; b < tensor.shape[0]; ++b) {
    const std::byte* row = tensor.data.data() + static_cast<size_t>(b * tensor.shape[1] + begin) * inner;
    part.data.insert(part.data.end(), row, row + static_cast<size_t>(end - begin) * inner);
  }
  return part;
}

ValidationRun compare_cached_step(const SteppedDecoder& decoder, const Tokens& tokens, int64_t prefix,
                                  const Tolerance& tolerance) {
  const int64_t total = tokens.ids.shape[1];
  Tensors whole = decoder.first(tokens);
  const Tokens before{along_sequence(tokens.ids, 0, prefix), along_sequence(tokens.mask, 0, prefix)};
  const Tensors seen = decoder.first(before);
  Tensors stepped = decoder.next({along_sequence(tokens.ids, prefix, total), tokens.mask}, seen);
  Tensors expected;
  for (auto& [name, tensor] : whole) {
    const auto found = stepped.find(name);
    if (found == stepped.end()) continue;  // an encoder's keys and values are not put out again
    // present.* holds all places on its axis 2; an output over tokens has those of the rest on its axis 1.
    const bool cache = is_present(name);
    if (!cache && (tensor.shape.size() < 2 || tensor.shape[1] != total)) continue;
    ir::Tensor rest = cache ? std::move(tensor) : along_sequence(tensor, prefix, total);
    const bool over_tokens = !cache || rest.shape[2] == total;
    if (over_tokens && rest.shape == found->second.shape) {
      blank_padding(rest, cache ? 2 : 1, tokens.mask, cache ? 0 : prefix);
      blank_padding(found->second, cache ? 2 : 1, tokens.mask, cache ? 0 : prefix);
    }
    expected.emplace(name, std::move(rest));
  }
  ValidationRun run;
  run.label = fmt::format("batch {}, {} tokens after {}, cached", tokens.ids.shape[0], total - prefix, prefix);
  run.differences = compare(expected, stepped, tolerance);
  run.passes = !run.differences.empty() && std::all_of(run.differences.begin(), run.differences.end(),
                                                       [](const Difference& d) { return d.passes; });
  return run;
}

}  // namespace onnxport
