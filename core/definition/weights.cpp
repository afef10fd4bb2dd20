// SPDX-License-Identifier: Apache-2.0
#include "core/definition/weights.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <optional>

#include "core/definition/config_fields.hpp"
#include "core/definition/stand_ins.hpp"
#include "core/error.hpp"
#include "core/listed.hpp"
#include "core/lower_case.hpp"
#include "core/printable.hpp"
#include "core/tensor/elements.hpp"

namespace onnxport {
namespace {

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
/// Source: buffers of transformers' models in version 4.30, and of torch's batch normalisation; the version number that
/// fairseq gave encoders and decoders. Those that are called as an input of the model, the definitions name
/// (Graph::unused).
bool is_buffer(std::string_view name) {
  const std::string_view last = last_of(name);
  if (last == "version" && parent_of(name).ends_with("coder")) return true;
  constexpr std::string_view buffers[] = {"inv_freq",   "original_inv_freq", "num_batches_tracked",    "masked_bias",
                                          "cos_cached", "sin_cached",        "relative_position_index"};
  return std::find(std::begin(buffers), std::end(buffers), last) != std::end(buffers);
}

/// Whether a module is one of a numbered list, or lies in one.
bool in_numbered_list(std::string_view module) {
  for (; !module.empty(); module = parent_of(module)) {
    const std::string_view last = last_of(module);
    if (std::all_of(last.begin(), last.end(), [](unsigned char c) { return std::isdigit(c) != 0; })) return true;
  }
  return false;
}

/// Whether the path of a module within another says that it was added to that: a normalisation, or an adapter.
bool is_added(std::string_view path) {
  const std::string lower = lower_case(path);
  const bool direct = lower.find('.') == std::string::npos;
  if (direct && (lower.find("norm") != std::string::npos || lower.starts_with("ln") || lower.ends_with("_ln")))
    return true;
  return lower.find("adapter") != std::string::npos || lower.find("lora_") != std::string::npos;
}

/// Whether a module within another one, by its path from there, is a head: of a model that was trained for several
/// tasks, of which a feature uses one; or the pooler beside a tower's layers, which not every class has that reads the
/// file. Source: BertPreTrainingHeads and its relatives, and _keys_to_ignore_on_load_unexpected, transformers 4.30.
bool is_head_within(std::string_view module, std::string_view path) {
  if (is_added(path)) return false;
  return module == "cls" || (!in_numbered_list(module) && (path == "pooler" || path.starts_with("pooler.")));
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

/// A definition that lacks more than this is not gone on with: its config states layers without end.
constexpr size_t most_missing = 100'000;

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

bool WeightSource::was_asked_for(const std::string& name) const {
  const std::vector<std::string> names = spellings(name);
  return std::any_of(names.begin(), names.end(), [&](const std::string& one) { return requested_.contains(one); });
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
    if (missing_.size() > most_missing) finish(true);
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
    quantized_ = quantized_ || dtype != ir::DType::boolean;
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

/// What to do where something else is there in place of a missing tensor; empty where nothing is.
std::string WeightSource::next_step_of_stand_ins() const {
  for (const auto& [asked, shape] : requested_) {
    if (find(asked, nullptr) != nullptr) continue;
    for (const std::string& name : spellings(asked)) {
      if (std::string told = explain_stand_in(tensors_, name); !told.empty()) return told;
    }
  }
  return {};
}

/// What to do where a checkpoint does not match; `prefix` as prefix_of_missing() has it.
std::string WeightSource::next_step(const std::string& prefix) const {
  if (!prefix.empty()) {
    return "what saved them is around the model, such as a training program's class or a larger model; save the model "
           "that is inside, and export that";
  }
  if (quantized_) return std::string(quantized_next_step);
  if (missing_.empty() && misshapen_.empty())
    return "the config does not describe these tensors; correct it, or pass --allow-unused to leave them out";
  if (missing_.empty()) return "config.json and the weights are not of the same model; fetch both again from one place";
  if (std::string told = next_step_of_stand_ins(); !told.empty()) return told;
  if (!rules_.empty())
    return "correct the rules of weight_names, which have to make the names that are missing of the checkpoint's; "
           "where "
           "they do, the weights are not all there";
  if (misses_parts_of_modules())
    return "the weights are not all there, or config.json is of another model; fetch both again from one place";
  return "if the missing ones belong to a head, this checkpoint has another: see its config.json's architectures, and "
         "choose a feature that it has";
}

bool WeightSource::uses_any_under(std::string_view module) const {
  const std::string prefix = std::string(module) + ".";
  const auto at = used_.lower_bound(prefix);
  return at != used_.end() && at->starts_with(prefix);
}

/// Whether something is missing of a module that is there, or of a numbered list of them, which no other choice of a
/// head explains.
bool WeightSource::misses_parts_of_modules() const {
  const auto is_part = [this](const std::string& name) {
    const std::string_view parent = parent_of(name);
    if (uses_any_under(parent)) return true;
    for (std::string_view module = parent; in_numbered_list(module); module = parent_of(module)) {
      if (uses_any_under(parent_of(module))) return true;
    }
    return false;
  };
  return std::any_of(requested_.begin(), requested_.end(), [&](const auto& asked) {
    if (find(asked.first, nullptr) != nullptr) return false;
    const std::vector<std::string> names = spellings(asked.first);
    return std::any_of(names.begin(), names.end(), is_part);
  });
}

bool WeightSource::is_known_unused(const std::string& name) const {
  const std::vector<std::string> names = with_and_without_prefix(name, prefix_);
  return std::any_of(unused_patterns_.begin(), unused_patterns_.end(), [&](const std::string& pattern) {
    return std::any_of(names.begin(), names.end(), [&](const std::string& one) { return matches(pattern, one); });
  });
}

/// Under any of their spellings, the tensors that were asked for.
std::set<std::string> WeightSource::asked_spellings() const {
  std::set<std::string> all;
  for (const auto& [name, shape] : requested_)
    for (std::string& spelling : spellings(name)) all.insert(std::move(spelling));
  return all;
}

/// Whether a tensor that nothing used lies in a module of which the definition used other tensors, so that the
/// definition computes something else than the checkpoint was made for: at any depth, also a further one of a numbered
/// list (layer 12 of a model that has 12 by its config). Where nothing of its outermost module is used, it is of a head
/// beside the model.
bool WeightSource::inside_used_module(const std::string& name) const {
  if (is_buffer(name)) return false;
  const std::string_view parent = parent_of(name);
  for (std::string_view module = parent; !module.empty(); module = parent_of(module)) {
    if (!uses_any_under(module)) continue;
    return parent == module || !is_head_within(module, parent.substr(module.size() + 1));
  }
  // Of a base model that was saved alone, nothing stands before its modules' names.
  const bool is_base = !prefix_.empty() && !used_.empty() && !uses_any_under(prefix_);
  return is_base && is_added(parent);
}

std::vector<std::string> WeightSource::finish(bool allow_unused, const Others& others) const {
  std::vector<std::string> unexpected, elsewhere;
  std::optional<WeightSource> other;
  std::set<std::string> asked_elsewhere;
  const auto of_others = [&](const std::string& name) {
    if (!others) return false;
    if (!other) {
      other = others();
      other->set_base_model_prefix(prefix_);
      asked_elsewhere = other->asked_spellings();
    }
    return asked_elsewhere.contains(name) || other->is_known_unused(name);
  };
  for (const auto& [name, held] : tensors_) {
    if (used_.contains(name) || is_known_unused(name)) continue;
    if (inside_used_module(name) && !of_others(name))
      unexpected.push_back(fmt::format("{} [{}]", shown(name), fmt::join(held.weight.shape(), ", ")));
    else
      elsewhere.push_back(held.is_whole ? held.origins[0] : shown(name));
  }
  const bool fails = !missing_.empty() || !misshapen_.empty() || (!unexpected.empty() && !allow_unused);
  if (!fails) {
    for (const std::string& name : unexpected) elsewhere.push_back(name);
    return elsewhere;
  }
  if (tensors_.empty()) {
    throw Error(Failure::checkpoint,
                fmt::format("the checkpoint holds no tensors, and {} are asked for", missing_.size()),
                "download the weights again, or save the model again: what wrote them had none to write");
  }
  std::string text = "the checkpoint does not match what its config.json and the feature ask for";
  const std::string prefix = prefix_of_missing();
  if (prefix.empty())
    text += list_of("missing", missing_);
  else
    text += fmt::format(": {} are missing, and are there with '{}' before their names", missing_.size(), prefix);
  text += list_of("of another shape or type", misshapen_);
  // Those of the model within begin like the missing ones that are told already.
  if (!prefix.empty()) std::erase_if(unexpected, [&](const std::string& name) { return name.starts_with(prefix); });
  text += list_of("unexpected in modules that are used", unexpected);
  if (!missing_.empty() && prefix.empty()) text += list_of("not used", elsewhere);
  throw Error(Failure::checkpoint, text, with_own_code(next_step(prefix)));
}

/// A hint, with a word on the code of the model's own where config.json names some.
std::string WeightSource::with_own_code(std::string hint) const {
  if (own_code_.empty()) return hint;
  return fmt::format(
      "{}\nconfig.json's auto_map names code of the model's own, {}, which may ask for others; that needs a plugin of "
      "its own",
      hint, own_code_);
}

void WeightSource::add_asked(const WeightSource& other) {
  requested_.insert(other.requested_.begin(), other.requested_.end());
  unused_patterns_.insert(unused_patterns_.end(), other.unused_patterns_.begin(), other.unused_patterns_.end());
}

WeightSource WeightSource::anew() const {
  WeightSource same = *this;
  same.unused_patterns_.clear();
  same.requested_.clear();
  same.used_.clear();
  same.missing_.clear();
  same.misshapen_.clear();
  same.quantized_ = false;
  return same;
}

bool WeightSource::has_all_asked_for() const {
  return !requested_.empty() && missing_.empty() && misshapen_.empty();
}

bool WeightSource::lacks_only_tensors() const {
  return !missing_.empty() && misshapen_.empty();
}

Error WeightSource::lacks_a_head(const OtherHead& head) const {
  constexpr size_t most = 3;
  std::string whose = "the checkpoint";
  if (!head.classes.empty())
    whose += fmt::format(" ({} by config.json)", printable(fmt::format("{}", fmt::join(head.classes, ", "))));
  return {
      Failure::checkpoint,
      fmt::format("{} does not have what {} takes: {} {} missing", whose, head.feature,
                  printable(listed(missing_, most)), missing_.size() == 1 ? "is" : "are"),
      with_own_code(fmt::format("choose with --feature what it has: {}; or take a checkpoint that was trained for {}",
                                fmt::join(head.held, ", "), head.feature))};
}

}  // namespace onnxport
