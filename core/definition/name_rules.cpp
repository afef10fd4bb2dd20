// SPDX-License-Identifier: Apache-2.0
#include "core/definition/name_rules.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "core/error.hpp"

namespace onnxport {
namespace {

using Shape = std::vector<int64_t>;

const char* const correct_rules = "correct weight_names in the manifest of the plugin that serves this type";

/// A tensor of the checkpoint with its rule, for messages.
struct NamedTensor {
  const std::string& name;
  const Shape& shape;

  std::string text() const { return fmt::format("{} [{}]", name, fmt::join(shape, ", ")); }
};

size_t axis_of(const NameRule& rule, const NamedTensor& tensor, const char* done) {
  const auto rank = static_cast<int64_t>(tensor.shape.size());
  const int64_t axis = rule.axis < 0 ? rule.axis + rank : rule.axis;
  if (axis >= 0 && axis < rank) return static_cast<size_t>(axis);
  throw Error(Failure::checkpoint,
              fmt::format("{} is to be {} along axis {}, which it does not have", tensor.text(), done, rule.axis),
              correct_rules);
}

/// The lengths of the parts along their axis. Throws Error(checkpoint) where they are not those of the tensor.
Shape lengths_of_parts(const NameRule& rule, const NamedTensor& tensor, int64_t length) {
  const auto parts = static_cast<int64_t>(rule.to.size());
  Shape lengths = rule.sizes.empty() ? Shape(rule.to.size(), length / parts) : rule.sizes;
  const int64_t all = std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
  const bool whole = all == length && std::all_of(lengths.begin(), lengths.end(),
                                                  [&](int64_t size) { return size > 0 && size % rule.groups == 0; });
  if (whole) return lengths;
  const std::string groups = rule.groups == 1 ? "" : fmt::format(" in {} groups", rule.groups);
  throw Error(Failure::checkpoint,
              rule.sizes.empty() ? fmt::format("{} cannot be split into {} equal parts{}", tensor.text(), parts, groups)
                                 : fmt::format("{} cannot be split into parts of {}{}", tensor.text(),
                                               fmt::join(lengths, ", "), groups),
              correct_rules);
}

/// Part of a row-major tensor along its first axis: a view of the file, which needs no transform.
Weight rows_of(const std::shared_ptr<const StoredTensor>& stored, int64_t begin, int64_t length) {
  auto view = std::make_shared<StoredTensor>(*stored);
  const uint64_t row = stored->bytes / static_cast<uint64_t>(stored->shape[0]);
  view->shape[0] = length;
  view->offset += row * static_cast<uint64_t>(begin);
  view->bytes = row * static_cast<uint64_t>(length);
  return {std::move(view), {}};
}

/// Where a part lies along an axis.
struct Span {
  size_t axis;
  int64_t begin, length;
};

Weight part_of(const std::shared_ptr<const StoredTensor>& stored, const Span& span, int64_t groups) {
  const auto axis = static_cast<int64_t>(span.axis);
  const bool plain = stored->strides.empty() || is_contiguous(stored->shape, stored->strides);
  if (groups == 1 && span.axis == 0 && plain && stored->constant == nullptr)
    return rows_of(stored, span.begin, span.length);
  const Weight whole{stored, {}};
  if (groups == 1) return whole.then(SliceAxis{axis, span.begin, span.begin + span.length});
  Shape grouped = stored->shape, part = stored->shape;
  grouped[span.axis] = groups;
  grouped.insert(grouped.begin() + axis + 1, stored->shape[span.axis] / groups);
  part[span.axis] = span.length;
  const int64_t begin = span.begin / groups;
  return whole.then(ReshapeTo{grouped})
      .then(SliceAxis{axis + 1, begin, begin + span.length / groups})
      .then(ReshapeTo{part});
}

/// Puts one axis first.
Weight with_axis_first(const Weight& weight, size_t axis) {
  if (axis == 0) return weight;
  Shape order(weight.shape().size());
  std::iota(order.begin(), order.end(), 0);
  std::rotate(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(axis),
              order.begin() + static_cast<std::ptrdiff_t>(axis) + 1);
  return weight.then(PermuteAxes{order});
}

/// Tensors that a rule joins, as far as they were found: by the place of their pattern.
using Pieces = std::map<size_t, std::shared_ptr<const StoredTensor>>;

/// The pieces one behind the other, in each group. Cut into equal blocks of rows they make a stack, which is what a
/// weight can be.
Weight joined(const NameRule& rule, const Pieces& pieces) {
  const StoredTensor& first = *pieces.at(0);
  const size_t axis = axis_of(rule, {first.name, first.shape}, "joined");
  int64_t block = 0, length = 0;
  for (const auto& [place, piece] : pieces) {
    Shape like = piece->shape;
    if (like.size() == first.shape.size()) like[axis] = first.shape[axis];
    if (like != first.shape || piece->dtype != first.dtype) {
      throw Error(Failure::checkpoint,
                  fmt::format("{} and {} are to be joined along axis {} and do not fit together",
                              NamedTensor{first.name, first.shape}.text(),
                              NamedTensor{piece->name, piece->shape}.text(), rule.axis),
                  correct_rules);
    }
    if (piece->shape[axis] % rule.groups != 0) {
      throw Error(Failure::checkpoint,
                  fmt::format("{} cannot be joined along axis {} in {} groups",
                              NamedTensor{piece->name, piece->shape}.text(), rule.axis, rule.groups),
                  correct_rules);
    }
    block = std::gcd(block, piece->shape[axis] / rule.groups);
    length += piece->shape[axis];
  }
  if (length == 0) {
    throw Error(Failure::checkpoint,
                NamedTensor{first.name, first.shape}.text() + " is to be joined and has no elements", correct_rules);
  }
  std::vector<Weight> blocks;
  for (int64_t group = 0; group < rule.groups; ++group) {
    for (const auto& [place, piece] : pieces) {
      const int64_t share = piece->shape[axis] / rule.groups;
      for (int64_t row = group * share; row < (group + 1) * share; row += block)
        blocks.push_back(with_axis_first(part_of(piece, {axis, row, block}, 1), axis));
    }
  }
  Shape rows = blocks[0].shape();
  rows[0] = length;
  const Weight whole = stacked(blocks).then(ReshapeTo{rows});
  if (axis == 0) return whole;
  Shape back(rows.size());
  std::iota(back.begin(), back.end(), 0);
  std::rotate(back.begin(), back.begin() + 1, back.begin() + static_cast<std::ptrdiff_t>(axis) + 1);
  return whole.then(PermuteAxes{back});
}

class Adaptation {
 public:
  explicit Adaptation(const std::vector<NameRule>& rules) : rules_(rules) {}

  void take(const std::string& name, const std::shared_ptr<const StoredTensor>& stored) {
    for (size_t i = 0; i < rules_.size(); ++i) {
      const NameRule& rule = rules_[i];
      for (size_t place = 0; place < rule.from.size(); ++place) {
        const auto match = rule.from[place].match(name);
        if (!match) continue;
        if (rule.joins())
          to_join_[{i, *match}].emplace(place, stored);
        else if (rule.splits())
          split(rule, *match, name, stored);
        else
          add(rule.to[0].fill(*match), {Weight{stored, {}}, {name}});
        return;
      }
    }
    add(name, {Weight{stored, {}}, {name}});
  }

  std::map<std::string, AdaptedTensor> finish() {
    for (const auto& [key, pieces] : to_join_) {
      const auto& [index, match] = key;
      const NameRule& rule = rules_[index];
      std::vector<std::string> names, missing;
      for (size_t place = 0; place < rule.from.size(); ++place) {
        names.push_back(rule.from[place].fill(match));
        if (!pieces.contains(place)) missing.push_back(names.back());
      }
      const std::string name = rule.to[0].fill(match);
      if (!missing.empty()) {
        throw Error(Failure::checkpoint,
                    fmt::format("the checkpoint does not have {}, which {} to make '{}' of", fmt::join(missing, ", "),
                                missing.size() == 1 ? "it takes" : "they take", name),
                    correct_rules);
      }
      add(name, {joined(rule, pieces), names, false});
    }
    return std::move(tensors_);
  }

 private:
  void split(const NameRule& rule, const NamePattern::Match& match, const std::string& name,
             const std::shared_ptr<const StoredTensor>& stored) {
    const NamedTensor tensor{name, stored->shape};
    const size_t axis = axis_of(rule, tensor, "split");
    const Shape lengths = lengths_of_parts(rule, tensor, stored->shape[axis]);
    int64_t begin = 0;
    for (size_t part = 0; part < lengths.size(); ++part) {
      add(rule.to[part].fill(match), {part_of(stored, {axis, begin, lengths[part]}, rule.groups), {name}, false});
      begin += lengths[part];
    }
  }

  void add(const std::string& name, AdaptedTensor tensor) {
    const std::string origin = tensor.origins[0];
    const auto [found, fresh] = tensors_.emplace(name, std::move(tensor));
    if (fresh) return;
    throw Error(Failure::checkpoint,
                fmt::format("two tensors of the checkpoint become '{}' by the rules of weight_names: {} and {}", name,
                            found->second.origins[0], origin),
                "make the rules in the plugin's manifest tell them apart");
  }

  const std::vector<NameRule>& rules_;
  std::map<std::string, AdaptedTensor> tensors_;
  std::map<std::pair<size_t, NamePattern::Match>, Pieces> to_join_;
};

/// A rule that yields a name, at which of its parts, and the match.
struct Source {
  const NameRule& rule;
  size_t part;
  NamePattern::Match match;
};

std::optional<Source> source_of(const std::vector<std::string>& names, const std::vector<NameRule>& rules) {
  for (const std::string& name : names) {
    for (const NameRule& rule : rules) {
      for (size_t part = 0; part < rule.to.size(); ++part) {
        if (auto match = rule.to[part].match(name)) return Source{rule, part, std::move(*match)};
      }
    }
  }
  return std::nullopt;
}

}  // namespace

std::map<std::string, AdaptedTensor> adapt_tensors(const Checkpoint& checkpoint, const std::vector<NameRule>& rules) {
  Adaptation adaptation(rules);
  for (const auto& [name, stored] : checkpoint.tensors()) adaptation.take(name, stored);
  return adaptation.finish();
}

std::vector<std::string> with_and_without_prefix(const std::string& name, const std::string& prefix) {
  std::vector<std::string> names{name};
  if (prefix.empty()) return names;
  names.push_back(name.starts_with(prefix + ".") ? name.substr(prefix.size() + 1) : prefix + "." + name);
  return names;
}

std::optional<std::string> name_in_checkpoint(const std::vector<std::string>& names,
                                              const std::vector<NameRule>& rules) {
  const auto source = source_of(names, rules);
  if (!source) return std::nullopt;
  std::vector<std::string> from;
  for (const NamePattern& pattern : source->rule.from) from.push_back(pattern.fill(source->match));
  return fmt::format("{}", fmt::join(from, " + "));
}

std::vector<TensorPlan> as_in_checkpoint(const std::vector<TensorPlan>& tensors, const std::vector<NameRule>& rules,
                                         const std::string& prefix) {
  std::map<std::string, TensorPlan> made;
  for (const TensorPlan& tensor : tensors) {
    const auto source = source_of(with_and_without_prefix(tensor.name, prefix), rules);
    if (!source || source->rule.joins()) {
      made.emplace(tensor.name, tensor);
      continue;
    }
    const std::string name = source->rule.from[0].fill(source->match);
    const auto [whole, first] = made.emplace(name, TensorPlan{name, tensor.dtype, tensor.shape});
    if (first || !source->rule.splits()) continue;
    const size_t axis = axis_of(source->rule, {tensor.name, tensor.shape}, "split");
    whole->second.shape.at(axis) += tensor.shape[axis];
  }
  std::vector<TensorPlan> result;
  for (auto& [name, tensor] : made) result.push_back(std::move(tensor));
  return result;
}

}  // namespace onnxport
