// SPDX-License-Identifier: Apache-2.0
#include "core/definition/weights.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>

#include "core/definition/config_fields.hpp"
#include "core/error.hpp"
#include "core/printable.hpp"
#include "core/tensor/elements.hpp"

namespace onnxport {
namespace {

bool is_number(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
}

/// Whether the text matches a pattern in which * stands for any text.
bool matches(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0, star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::string_view parent_of(std::string_view name) {
  const size_t dot = name.rfind('.');
  return dot == std::string_view::npos ? std::string_view{} : name.substr(0, dot);
}

std::string_view last_of(std::string_view name) {
  return name.substr(name.rfind('.') + 1);
}

/// Whether a tensor of that name is made anew with every model, so that files may hold it or not.
/// Source: buffers of transformers' models in version 4.30, and of torch's batch normalisation. Those that are called
/// as an input of the model, the definitions name (Graph::unused).
bool is_buffer(std::string_view last) {
  constexpr std::string_view buffers[] = {"inv_freq",   "original_inv_freq", "num_batches_tracked",    "masked_bias",
                                          "cos_cached", "sin_cached",        "relative_position_index"};
  return std::find(std::begin(buffers), std::end(buffers), last) != std::end(buffers);
}

/// Whether the path of a module within another says that it was added to that: a normalisation, or an adapter.
bool is_added(std::string_view path) {
  std::string lower(path);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const bool direct = lower.find('.') == std::string::npos;
  if (direct && (lower.find("norm") != std::string::npos || lower.starts_with("ln") || lower.ends_with("_ln")))
    return true;
  return lower.find("adapter") != std::string::npos || lower.find("lora_") != std::string::npos;
}

std::string list_of(const std::string& title, const std::vector<std::string>& lines) {
  if (lines.empty()) return {};
  constexpr size_t shown = 20;
  std::string text = fmt::format("\n  {} ({}):", title, lines.size());
  for (size_t i = 0; i < std::min(lines.size(), shown); ++i) text += "\n    " + printable(lines[i]);
  if (lines.size() > shown) text += fmt::format("\n    … and {} more", lines.size() - shown);
  return text;
}

}  // namespace

WeightSource::WeightSource(const Checkpoint& checkpoint, std::vector<NameRule> rules)
    : synthetic_(false),
      tensors_(adapt_tensors(checkpoint, rules)),
      rules_(std::move(rules)),
      own_code_(own_code_of(checkpoint.config())) {}

/// The names under which checkpoints hold a tensor: as asked for, without or with the base model's prefix, and
/// each with the names that normalisation weights had in the first releases (gamma, beta).
std::vector<std::string> WeightSource::spellings(const std::string& name) const {
  std::vector<std::string> names = with_and_without_prefix(name, prefix_);
  for (size_t i = 0, count = names.size(); i < count; ++i) {
    const std::string parent(parent_of(names[i]));
    if (names[i].ends_with(".weight")) names.push_back(parent + ".gamma");
    if (names[i].ends_with(".bias")) names.push_back(parent + ".beta");
  }
  return names;
}

const AdaptedTensor* WeightSource::find(const std::string& name, std::string* found) const {
  for (std::string& spelling : spellings(name)) {
    const auto at = tensors_.find(spelling);
    if (at == tensors_.end()) continue;
    if (found != nullptr) *found = std::move(spelling);
    return &at->second;
  }
  return nullptr;
}

/// A tensor as the user knows it: by its name in the checkpoint, and where the definition has another one by that too.
std::string WeightSource::shown(const std::string& name) const {
  const auto held = tensors_.find(name);
  const std::optional<std::string> own = held != tensors_.end()
                                             ? fmt::format("{}", fmt::join(held->second.origins, " + "))
                                             : name_in_checkpoint(with_and_without_prefix(name, prefix_), rules_);
  if (!own || *own == name) return name;
  return fmt::format("{} (to the plugin {})", *own, name);
}

bool WeightSource::has(const std::string& name) const {
  return synthetic_ || find(name, nullptr) != nullptr;
}

std::pair<std::string, Weight> WeightSource::get(const std::string& name, const std::vector<int64_t>& shape) {
  const bool first = requested_.emplace(name, shape).second;
  auto stand_in = [&] {
    auto stored = std::make_shared<StoredTensor>();
    stored->name = name;
    stored->dtype = ir::DType::f32;
    stored->shape = shape;
    stored->bytes = sizeof(float);
    for (int64_t size : shape) stored->bytes *= static_cast<uint64_t>(size);
    return std::pair{name, Weight{stored, {}}};
  };
  if (synthetic_) return stand_in();
  std::string found;
  const AdaptedTensor* held = find(name, &found);
  if (held == nullptr) {
    if (first) missing_.push_back(fmt::format("{} [{}]", shown(name), fmt::join(shape, ", ")));
    return stand_in();
  }
  used_.insert(found);
  if (const std::vector<int64_t> has = held->weight.shape(); has != shape) {
    if (first) {
      misshapen_.push_back(fmt::format("{}: expected [{}] by config.json, found [{}]", shown(found),
                                       fmt::join(shape, ", "), fmt::join(has, ", ")));
    }
    return stand_in();
  }
  const ir::DType dtype = held->weight.dtype();
  if (!can_convert(dtype, ir::DType::f32)) {
    if (first)
      misshapen_.push_back(
          fmt::format("{}: expected f32, f16, bf16, f64 or f8, found {}", shown(found), ir::name_of(dtype)));
    return stand_in();
  }
  if (const std::string scale = scale_of(found); ir::size_of(dtype) == 1 && !scale.empty()) {
    if (first)
      misshapen_.push_back(fmt::format("{}: quantized, {} with {} beside it", shown(found), ir::name_of(dtype), scale));
    quantized_ = true;
    return stand_in();
  }
  Weight weight = held->weight;
  if (dtype != ir::DType::f32) weight = weight.then(CastTo{ir::DType::f32});
  return {held->is_whole ? held->origins[0] : found, weight};
}

/// The tensor beside one of 8 bits without which its numbers mean something else; empty where there is none.
std::string WeightSource::scale_of(const std::string& name) const {
  const std::string module(parent_of(name));
  const std::string prefix = module.empty() ? module : module + ".";
  for (auto at = tensors_.lower_bound(prefix); at != tensors_.end() && at->first.starts_with(prefix); ++at) {
    if (parent_of(at->first) == module && at->first.find("scale", prefix.size()) != std::string::npos) return at->first;
  }
  return {};
}

/// What stands before the names of most missing tensors in the checkpoint: a training program's class, or a larger
/// model around this one. Empty where they are not there.
std::string WeightSource::prefix_of_missing() const {
  std::map<std::string, std::set<std::string>> wanted;  // by spelling, the names as asked for
  for (const std::string& shown : missing_) {
    const std::string name = shown.substr(0, shown.find(" ["));
    for (const std::string& spelling : spellings(name)) wanted[spelling].insert(name);
  }
  std::map<std::string, std::set<std::string>> found;  // by prefix
  for (const auto& [name, stored] : tensors_) {
    if (used_.contains(name)) continue;
    for (size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1)) {
      const auto at = wanted.find(name.substr(dot + 1));
      if (at != wanted.end()) found[name.substr(0, dot + 1)].insert(at->second.begin(), at->second.end());
    }
  }
  for (const auto& [prefix, names] : found) {
    if (names.size() >= 2 && 2 * names.size() > missing_.size()) return prefix;
  }
  return {};
}

bool WeightSource::uses_any_under(std::string_view module) const {
  const std::string prefix = std::string(module) + ".";
  const auto at = used_.lower_bound(prefix);
  return at != used_.end() && at->starts_with(prefix);
}

/// Whether a tensor that nothing used lies in a module of which the definition used other tensors, so that the
/// definition computes something else than the checkpoint was made for: directly, as what was added to any module, the
/// base model among them, or in a further one of a numbered list (layer 12 of a model that has 12 by its config).
/// Others may be of another graph of the model, as a cached step leaves out what makes the keys of its cross-attention,
/// or of a head, beside or in the base model.
bool WeightSource::inside_used_module(const std::string& name) const {
  if (is_buffer(last_of(name))) return false;
  const std::string_view parent = parent_of(name);
  for (std::string_view module = parent; !module.empty(); module = parent_of(module)) {
    if (uses_any_under(module)) return parent == module || is_added(parent.substr(module.size() + 1));
    const std::string_view list = parent_of(module);
    if (is_number(last_of(module)) && !list.empty() && uses_any_under(list)) return true;
  }
  // Of a base model that was saved alone, nothing stands before its modules' names.
  const bool is_base = !prefix_.empty() && !used_.empty() && !uses_any_under(prefix_);
  return is_base && is_added(parent);
}

std::vector<std::string> WeightSource::finish(bool allow_unused) const {
  std::vector<std::string> unexpected, elsewhere;
  for (const auto& [name, held] : tensors_) {
    if (used_.contains(name)) continue;
    const bool known = std::any_of(unused_patterns_.begin(), unused_patterns_.end(),
                                   [&name = name](const std::string& pattern) { return matches(pattern, name); });
    if (known) continue;
    if (inside_used_module(name))
      unexpected.push_back(fmt::format("{} [{}]", shown(name), fmt::join(held.weight.shape(), ", ")));
    else
      elsewhere.push_back(held.is_whole ? held.origins[0] : shown(name));
  }
  const bool fails = !missing_.empty() || !misshapen_.empty() || (!unexpected.empty() && !allow_unused);
  if (!fails) {
    for (const std::string& name : unexpected) elsewhere.push_back(name);
    return elsewhere;
  }
  std::string text = "the checkpoint does not match what its config.json and the feature ask for";
  const std::string prefix = prefix_of_missing();
  if (prefix.empty())
    text += list_of("missing", missing_);
  else
    text += fmt::format(": {} are missing, and are there with '{}' before their names", missing_.size(), prefix);
  text += list_of("of another shape or type", misshapen_);
  text += list_of("unexpected in modules that are used", unexpected);
  if (!missing_.empty() && prefix.empty()) text += list_of("not used", elsewhere);
  std::string hint;
  if (!prefix.empty()) {
    hint =
        "what saved them is around the model, such as a training program's class or a larger model; save the model "
        "that is inside, and export that";
  } else if (!missing_.empty()) {
    hint =
        "if the missing ones belong to a head, this checkpoint has another: see its config.json's architectures, and "
        "choose a feature that it has";
  } else if (quantized_) {
    hint = "quantized weights are not read; export the checkpoint that they were made from";
  } else if (!misshapen_.empty()) {
    hint = "config.json and the weights are not of the same model; fetch both again from one place";
  } else {
    hint = "the config does not describe these tensors; correct it, or pass --allow-unused to leave them out";
  }
  if (!own_code_.empty()) {
    hint += fmt::format(
        "\nconfig.json's auto_map names code of the model's own, {}, which may ask for others; that needs a plugin of "
        "its own",
        own_code_);
  }
  throw Error(Failure::checkpoint, text, hint);
}

}  // namespace onnxport
