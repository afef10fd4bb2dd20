// SPDX-License-Identifier: Apache-2.0
#include "core/definition/description_sink.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <utility>

#include "core/definition/config_fields.hpp"
#include "core/definition/given.hpp"
#include "core/definition/status.hpp"
#include "core/printable.hpp"
#include "core/split_list.hpp"

namespace onnxport::detail {
namespace {

Description& description(onnxport_description* self) {
  return static_cast<DescriptionSink*>(self)->out;
}

/// One fact more, of which there cannot be many.
template <class Facts, class Value>
void put(Facts& facts, std::string_view name, Value value) {
  facts.insert_or_assign(std::string(name), std::move(value));
  check_bound(bounds::facts, facts.size());
}
template <class Fact>
void add(std::vector<Fact>& facts, Fact fact) {
  facts.push_back(std::move(fact));
  check_bound(bounds::facts, facts.size());
}

/// The axes of a type.
std::span<const onnxport_dim> axes_from(const onnxport_type* from) {
  const onnxport_type& type = whole(from, ONNXPORT_SIZE_THROUGH(onnxport_type, dims), "a type");
  return list(type.dims, type.rank, bounds::axes);
}

onnxport_status* describe_input(onnxport_description* self, onnxport_string name, const onnxport_type* type) {
  return guarded(ONNXPORT_INVALID_ARGUMENT, [&] {
    InputSpec spec;
    spec.name = name_from(name);
    const auto axes = axes_from(type);
    spec.type.dtype = static_cast<ir::DType>(type->dtype);
    if (ir::size_of(spec.type.dtype) == 0) invalid(fmt::format("input '{}' has no element type", spec.name));
    std::vector<int64_t> fixed;
    for (size_t i = 0; i < axes.size(); ++i) {
      const onnxport_dim& dim = axes[i];
      const std::string_view symbol = optional_name_from(dim.symbol);
      if (dim.size < 0 && symbol.empty())
        invalid(fmt::format("axis {} of input '{}' has neither size nor name", i, spec.name));
      if (dim.size >= 0) fixed.push_back(dim.size);
      spec.type.shape.push_back(dim.size >= 0 ? ir::Dim(dim.size) : ir::Dim::parse(symbol));
      if (dim.size >= 0 && !symbol.empty()) spec.open_axes.emplace(i, symbol);
    }
    element_count(fixed);
    for (const InputSpec& other : description(self).inputs) {
      if (other.name == spec.name) invalid(fmt::format("the input '{}' is declared twice", spec.name));
    }
    description(self).inputs.push_back(std::move(spec));
    check_bound(bounds::inputs, description(self).inputs.size());
  });
}

onnxport_status* describe_output(onnxport_description* self, onnxport_string name, const onnxport_type* type) {
  return guarded(ONNXPORT_INVALID_ARGUMENT, [&] {
    OutputSpec spec;
    spec.name = name_from(name);
    for (const onnxport_dim& dim : axes_from(type)) {
      const std::string_view symbol = optional_name_from(dim.symbol);
      if (dim.size >= 0)
        spec.axes.emplace_back(ir::Dim(dim.size));
      else if (!symbol.empty())
        spec.axes.emplace_back(ir::Dim::parse(symbol));
      else
        spec.axes.emplace_back(std::nullopt);
    }
    description(self).outputs.push_back(std::move(spec));
    check_bound(bounds::outputs, description(self).outputs.size());
  });
}

InputSpec& declared_input(onnxport_description* self, onnxport_string of, const char* what) {
  const std::string_view name = name_from(of);
  for (InputSpec& spec : description(self).inputs) {
    if (spec.name == name) return spec;
  }
  invalid(fmt::format("{} for the input '{}', which is not declared", what, name));
}

onnxport_status* describe_limit(onnxport_description* self, onnxport_string name, int64_t limit) {
  return guarded(ONNXPORT_INVALID_ARGUMENT, [&] {
    InputSpec& spec = declared_input(self, name, "a limit");
    if (limit < 0) invalid(fmt::format("the limit of the input '{}' is {}, expected 0 or more", spec.name, limit));
    spec.limit = limit;
  });
}

Role role_from(int32_t number) {
  const bool is_known = number > ONNXPORT_ROLE_OTHER && number <= ONNXPORT_ROLE_FLAG;
  return is_known ? static_cast<Role>(number) : ONNXPORT_ROLE_OTHER;
}

onnxport_status* describe_input_info(onnxport_description* self, onnxport_string name,
                                     const onnxport_input_info* from) {
  return guarded(ONNXPORT_INVALID_ARGUMENT, [&] {
    InputSpec& spec = declared_input(self, name, "a role");
    const auto& info = whole(from, ONNXPORT_SIZE_THROUGH(onnxport_input_info, has_fill), "an input's role");
    spec.role = role_from(info.role);
    spec.of = optional_name_from(info.of);
    spec.low = info.low;
    spec.high = info.high;
    if (info.has_fill != 0) spec.fill = info.fill;
  });
}

onnxport_status* describe_axis(onnxport_description* self, onnxport_string of, const onnxport_axis_size* from) {
  return guarded(ONNXPORT_INVALID_ARGUMENT, [&] {
    const std::string_view symbol = name_from(of);
    const auto& size = whole(from, ONNXPORT_SIZE_THROUGH(onnxport_axis_size, step), "an axis");
    const AxisSize axis{size.usual, size.minimum, size.maximum, size.step};
    const bool fits = axis.usual >= 0 && axis.minimum >= 0 && axis.step >= 0 &&
                      (axis.maximum == 0 || axis.maximum >= std::max({axis.minimum, axis.step, int64_t{1}}));
    if (!fits) {
      invalid(fmt::format("no length fits the axis '{}': usual {}, from {} to {}, in steps of {}", symbol, axis.usual,
                          axis.minimum, axis.maximum, axis.step));
    }
    for (const int64_t length : {axis.usual, axis.minimum, axis.step})
      check_bound(bounds::axis_length, static_cast<uint64_t>(length));
    put(description(self).axes, symbol, axis);
  });
}

onnxport_status* describe_state(onnxport_description* self, const onnxport_state* told) {
  return guarded(ONNXPORT_INVALID_ARGUMENT, [&] {
    const onnxport_state* from = &whole(told, ONNXPORT_SIZE_THROUGH(onnxport_state, grows), "a state");
    StateSpec state{std::string(name_from(from->past)), std::string(name_from(from->present)), std::nullopt};
    InputSpec& past = declared_input(self, from->past, "a state");
    past.role = ONNXPORT_ROLE_STATE;
    if (from->grows >= 0) {
      state.grows = static_cast<size_t>(from->grows);
      if (*state.grows >= past.type.shape.size() || past.type.shape[*state.grows].is_static()) {
        invalid(fmt::format("the state '{}', {}, grows along its axis {}, which has no name", past.name,
                            ir::to_string(past.type), from->grows));
      }
    }
    add(description(self).states, std::move(state));
  });
}

/// Facts that are lengths, counts or versions.
struct Range {
  std::string_view fact;
  int64_t least, most;
};
constexpr int64_t any_number = std::numeric_limits<int64_t>::max(), latest_opset = 1000;
constexpr Range ranges[] = {{"default_opset", 1, latest_opset},
                            {"min_opset", 1, latest_opset},
                            {"num_layers", 0, any_number},
                            {"num_attention_heads", 0, any_number},
                            {"max_positions", 0, any_number}};

onnxport_status* describe_integer(onnxport_description* self, onnxport_string of, int64_t value) {
  return guarded(ONNXPORT_INVALID_ARGUMENT, [&] {
    const std::string_view name = name_from(of);
    for (const Range& range : ranges) {
      if (name != range.fact || (value >= range.least && value <= range.most)) continue;
      invalid(range.most == any_number
                  ? fmt::format("'{}' is {}, expected {} or more", name, value, range.least)
                  : fmt::format("'{}' is {}, expected {} to {}", name, value, range.least, range.most));
    }
    put(description(self).integers, name, value);
  });
}

/// With a tolerance above that, or NaN in its place, validation would tell nothing.
constexpr std::string_view tolerance = "atol_for_validation";
constexpr double most_tolerance = 0.1;

onnxport_status* describe_real(onnxport_description* self, onnxport_string of, double value) {
  return guarded(ONNXPORT_INVALID_ARGUMENT, [&] {
    const std::string_view name = name_from(of);
    if (!std::isfinite(value) || value < 0)
      invalid(fmt::format("'{}' is {}; expected a number from 0 on", name, value));
    if (name == tolerance && value > most_tolerance)
      invalid(fmt::format("'{}' is {}, expected at most {}; `--atol` chooses another for one export", name, value,
                          most_tolerance));
    put(description(self).reals, name, value);
  });
}

/// Files are called by the names of parts.
void check_parts(std::string_view names) {
  const std::vector<std::string> parts = split_list(std::string(names));
  check_bound(bounds::parts, parts.size());
  for (const std::string& part : parts) {
    const bool is_plain = std::all_of(part.begin(), part.end(), [](unsigned char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    });
    if (!is_plain)
      invalid(fmt::format("a part is called '{}', expected letters, digits, '_' and '-'", shortened(printable(part))));
  }
}

onnxport_status* describe_text(onnxport_description* self, onnxport_string of, onnxport_string value) {
  return guarded(ONNXPORT_INVALID_ARGUMENT, [&] {
    const std::string_view name = name_from(of), told = text(value);
    if (name == "parts") check_parts(told);
    put(description(self).texts, name, std::string(told));
  });
}

onnxport_status* describe_override(onnxport_description* self, onnxport_string key, onnxport_string json) {
  return guarded(ONNXPORT_INVALID_ARGUMENT, [&] {
    const std::string_view field = name_from(key), value = text(json);
    if (!Json::accept(value))
      invalid(fmt::format("the value of '{}' is told as {}, expected JSON", field, shortened(printable(value))));
    add(description(self).value_overrides, {std::string(field), std::string(value)});
  });
}

onnxport_status* describe_patch(onnxport_description* self, onnxport_string domain, onnxport_string op, uint64_t tag) {
  return guarded(ONNXPORT_INVALID_ARGUMENT, [&] {
    add(description(self).patches, {std::string(optional_name_from(domain)), std::string(name_from(op)), tag});
  });
}

}  // namespace

DescriptionSink::DescriptionSink(Description& target) : onnxport_description{}, out(target) {
  struct_size = sizeof(onnxport_description);
  input = describe_input;
  output = describe_output;
  integer = describe_integer;
  real = describe_real;
  onnxport_description::text = describe_text;
  value_override = describe_override;
  patch = describe_patch;
  value_limit = describe_limit;
  input_info = describe_input_info;
  axis_size = describe_axis;
  state = describe_state;
}

}  // namespace onnxport::detail
