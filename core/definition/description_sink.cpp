// SPDX-License-Identifier: Apache-2.0
#include "core/definition/description_sink.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/definition/status.hpp"

namespace onnxport::detail {
namespace {

Description& description(onnxport_description* self) {
  return static_cast<DescriptionSink*>(self)->out;
}

onnxport_status* describe_input(onnxport_description* self, onnxport_string name, const onnxport_type* type) {
  return guarded(ONNXPORT_INVALID_ARGUMENT, [&] {
    InputSpec spec;
    spec.name = text(name);
    spec.type.dtype = static_cast<ir::DType>(type->dtype);
    if (ir::size_of(spec.type.dtype) == 0) invalid(fmt::format("input '{}' has no element type", spec.name));
    for (uint32_t i = 0; i < type->rank; ++i) {
      const onnxport_dim& dim = type->dims[i];
      if (dim.size < 0 && dim.symbol.size == 0)
        invalid(fmt::format("axis {} of input '{}' has neither size nor name", i, spec.name));
      spec.type.shape.push_back(dim.size >= 0 ? ir::Dim(dim.size) : ir::Dim::parse(text(dim.symbol)));
      if (dim.size >= 0 && dim.symbol.size > 0) spec.open_axes.emplace(i, text(dim.symbol));
    }
    for (const InputSpec& other : description(self).inputs) {
      if (other.name == spec.name) invalid(fmt::format("the input '{}' is declared twice", spec.name));
    }
    description(self).inputs.push_back(std::move(spec));
  });
}

onnxport_status* describe_output(onnxport_description* self, onnxport_string name, const onnxport_type* type) {
  return guarded(ONNXPORT_INVALID_ARGUMENT, [&] {
    OutputSpec spec;
    spec.name = text(name);
    for (uint32_t i = 0; i < type->rank; ++i) {
      const onnxport_dim& dim = type->dims[i];
      if (dim.size >= 0)
        spec.axes.emplace_back(ir::Dim(dim.size));
      else if (dim.symbol.size > 0)
        spec.axes.emplace_back(ir::Dim::parse(text(dim.symbol)));
      else
        spec.axes.emplace_back(std::nullopt);
    }
    description(self).outputs.push_back(std::move(spec));
  });
}

InputSpec& declared_input(onnxport_description* self, onnxport_string name, const char* what) {
  for (InputSpec& spec : description(self).inputs) {
    if (spec.name == text(name)) return spec;
  }
  invalid(fmt::format("{} for the input '{}', which is not declared", what, text(name)));
}

onnxport_status* describe_limit(onnxport_description* self, onnxport_string name, int64_t limit) {
  return guarded(ONNXPORT_INVALID_ARGUMENT, [&] { declared_input(self, name, "a limit").limit = limit; });
}

Role role_from(int32_t number) {
  const bool is_known = number > ONNXPORT_ROLE_OTHER && number <= ONNXPORT_ROLE_FLAG;
  return is_known ? static_cast<Role>(number) : ONNXPORT_ROLE_OTHER;
}

onnxport_status* describe_input_info(onnxport_description* self, onnxport_string name,
                                     const onnxport_input_info* info) {
  return guarded(ONNXPORT_INVALID_ARGUMENT, [&] {
    InputSpec& spec = declared_input(self, name, "a role");
    spec.role = role_from(info->role);
    spec.of = text(info->of);
    spec.low = info->low;
    spec.high = info->high;
    if (info->has_fill != 0) spec.fill = info->fill;
  });
}

onnxport_status* describe_axis(onnxport_description* self, onnxport_string symbol, const onnxport_axis_size* size) {
  return guarded(ONNXPORT_INVALID_ARGUMENT, [&] {
    const AxisSize axis{size->usual, size->minimum, size->maximum, size->step};
    const bool fits = axis.usual >= 0 && axis.minimum >= 0 && axis.step >= 0 &&
                      (axis.maximum == 0 || axis.maximum >= std::max({axis.minimum, axis.step, int64_t{1}}));
    if (!fits) {
      invalid(fmt::format("no length fits the axis '{}': usual {}, from {} to {}, in steps of {}", text(symbol),
                          axis.usual, axis.minimum, axis.maximum, axis.step));
    }
    description(self).axes[std::string(text(symbol))] = axis;
  });
}

onnxport_status* describe_state(onnxport_description* self, const onnxport_state* from) {
  return guarded(ONNXPORT_INVALID_ARGUMENT, [&] {
    StateSpec state{std::string(text(from->past)), std::string(text(from->present)), std::nullopt};
    InputSpec& past = declared_input(self, from->past, "a state");
    past.role = ONNXPORT_ROLE_STATE;
    if (from->grows >= 0) {
      state.grows = static_cast<size_t>(from->grows);
      if (*state.grows >= past.type.shape.size() || past.type.shape[*state.grows].is_static()) {
        invalid(fmt::format("the state '{}', {}, grows along its axis {}, which has no name", past.name,
                            ir::to_string(past.type), from->grows));
      }
    }
    description(self).states.push_back(std::move(state));
  });
}

}  // namespace

DescriptionSink::DescriptionSink(Description& target) : onnxport_description{}, out(target) {
  struct_size = sizeof(onnxport_description);
  input = describe_input;
  output = describe_output;
  integer = [](onnxport_description* self, onnxport_string name, int64_t value) {
    return guarded(ONNXPORT_INTERNAL, [&] { description(self).integers[std::string(detail::text(name))] = value; });
  };
  real = [](onnxport_description* self, onnxport_string name, double value) {
    // A tolerance is the one that there is; with NaN in its place everything would agree.
    return guarded(ONNXPORT_INVALID_ARGUMENT, [&] {
      if (!std::isfinite(value) || value < 0)
        invalid(fmt::format("'{}' is {}; expected a number from 0 on", detail::text(name), value));
      description(self).reals[std::string(detail::text(name))] = value;
    });
  };
  onnxport_description::text = [](onnxport_description* self, onnxport_string name, onnxport_string value) {
    return guarded(ONNXPORT_INTERNAL,
                   [&] { description(self).texts[std::string(detail::text(name))] = detail::text(value); });
  };
  value_override = [](onnxport_description* self, onnxport_string key, onnxport_string json) {
    return guarded(ONNXPORT_INTERNAL,
                   [&] { description(self).value_overrides.emplace_back(detail::text(key), detail::text(json)); });
  };
  patch = [](onnxport_description* self, onnxport_string domain, onnxport_string op, uint64_t tag) {
    return guarded(ONNXPORT_INTERNAL, [&] {
      description(self).patches.push_back({std::string(detail::text(domain)), std::string(detail::text(op)), tag});
    });
  };
  value_limit = describe_limit;
  input_info = describe_input_info;
  axis_size = describe_axis;
  state = describe_state;
}

}  // namespace onnxport::detail
