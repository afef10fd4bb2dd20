// SPDX-License-Identifier: Apache-2.0
// Reading config.json.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <cstdlib>
#include <initializer_list>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <onnxport/tie.hpp>

namespace onnxport::sdk {

/// A map of config.json, borrowed from the host. Every getter names the field in its error; a field that is null
/// counts as absent. A field is read once, in the constructor of a plugin's own config struct, with the default that
/// the reference implementation's config class has.
class Config {
 public:
  Config(const onnxport_host* host, const onnxport_config* node, std::string path = {})
      : api_(static_cast<const onnxport_config_1*>(host->get_interface(host, to_abi("config"), 1))),
        host_(host),
        node_(node),
        path_(std::move(path)) {
    if (api_ == nullptr) throw Error(ONNXPORT_UNSUPPORTED, "the host does not offer the interface config/1");
  }

  bool has(std::string_view key) const {
    const auto type = api_->type(member(key));
    return type != ONNXPORT_CONFIG_ABSENT && type != ONNXPORT_CONFIG_NULL;
  }

  /// Whether the field is a text, where it may be of another type as well.
  bool is_text(std::string_view key) const { return api_->type(member(key)) == ONNXPORT_CONFIG_STRING; }

  /// Whether the field is a list, where it may be of another type as well.
  bool is_list(std::string_view key) const { return api_->type(member(key)) == ONNXPORT_CONFIG_LIST; }

  /// Whether the field is there and says null.
  bool is_null(std::string_view key) const { return api_->type(member(key)) == ONNXPORT_CONFIG_NULL; }

  int64_t integer(std::string_view key) const { return required(key, maybe_integer(key), "an integer"); }
  int64_t integer(std::string_view key, int64_t fallback) const { return maybe_integer(key).value_or(fallback); }
  std::optional<int64_t> maybe_integer(std::string_view key) const {
    const onnxport_config* node = member(key);
    switch (api_->type(node)) {
      case ONNXPORT_CONFIG_ABSENT:
      case ONNXPORT_CONFIG_NULL:
        return std::nullopt;
      case ONNXPORT_CONFIG_INT:
        return api_->as_int(node);
      default:
        wrong(key, "an integer");
    }
  }

  /// A size: an integer above 0.
  int64_t size(std::string_view key) const { return positive(key, integer(key)); }
  int64_t size(std::string_view key, int64_t fallback) const { return positive(key, integer(key, fallback)); }

  /// A count: an integer from 0.
  int64_t count(std::string_view key, int64_t fallback) const {
    const int64_t value = integer(key, fallback);
    if (value < 0)
      throw Error(ONNXPORT_CONFIG,
                  "config field '" + full(key) + "' is " + std::to_string(value) + "; expected 0 or more");
    return value;
  }

  double real(std::string_view key, double fallback) const {
    if (!has(key)) return fallback;
    const std::optional<double> value = number(member(key));
    if (!value) wrong(key, "a number");
    return *value;
  }

  bool boolean(std::string_view key, bool fallback) const {
    const onnxport_config* node = member(key);
    switch (api_->type(node)) {
      case ONNXPORT_CONFIG_ABSENT:
      case ONNXPORT_CONFIG_NULL:
        return fallback;
      case ONNXPORT_CONFIG_BOOL:
        return api_->as_bool(node) != 0;
      default:
        wrong(key, "true or false");
    }
  }

  std::string text(std::string_view key, std::string_view fallback) const {
    const onnxport_config* node = member(key);
    switch (api_->type(node)) {
      case ONNXPORT_CONFIG_ABSENT:
      case ONNXPORT_CONFIG_NULL:
        return std::string(fallback);
      case ONNXPORT_CONFIG_STRING:
        return std::string(from_abi(api_->as_string(node)));
      default:
        wrong(key, "a text");
    }
  }

  /// A text that must be one of those that the plugin implements.
  std::string choice(std::string_view key, std::string_view fallback,
                     std::initializer_list<std::string_view> known) const {
    const std::string value = text(key, fallback);
    std::string list;
    for (std::string_view option : known) {
      if (option == value) return value;
      list += (list.empty() ? "" : ", ") + std::string(option);
    }
    throw Error(ONNXPORT_UNSUPPORTED, "config field '" + full(key) + "' is \"" + value + "\"; supported: " + list);
  }

  std::vector<int64_t> integers(std::string_view key) const {
    const onnxport_config* node = member(key);
    if (!has(key)) return {};
    if (api_->type(node) != ONNXPORT_CONFIG_LIST) wrong(key, "a list of integers");
    std::vector<int64_t> values;
    for (size_t i = 0; i < api_->size(node); ++i) {
      const onnxport_config* entry = api_->entry(node, i);
      if (api_->type(entry) != ONNXPORT_CONFIG_INT) wrong(key, "a list of integers");
      values.push_back(api_->as_int(entry));
    }
    return values;
  }

  /// The entries of a list that are lists themselves, each to be asked for its own: [[1, 2], [2]] by stage and layer.
  std::vector<Config> lists(std::string_view key) const { return Config(host_, member(key), full(key)).lists(); }
  std::vector<Config> lists() const {
    std::vector<Config> rows;
    if (!is_list_or_absent(node_)) expected_at(path_, "a list of lists");
    for (size_t i = 0; i < api_->size(node_); ++i) {
      rows.emplace_back(host_, api_->entry(node_, i), path_);
      if (api_->type(rows.back().node_) != ONNXPORT_CONFIG_LIST) expected_at(path_, "a list of lists");
    }
    return rows;
  }
  /// The text at a place of this list; empty where there is none.
  std::string text_at(size_t place) const {
    const onnxport_config* entry = api_->entry(node_, place);
    return api_->type(entry) == ONNXPORT_CONFIG_STRING ? std::string(from_abi(api_->as_string(entry))) : std::string();
  }
  /// The integers of this list from a place on.
  std::vector<int64_t> integers_from(size_t place) const {
    std::vector<int64_t> values;
    for (size_t i = place; i < api_->size(node_); ++i) {
      const onnxport_config* entry = api_->entry(node_, i);
      if (api_->type(entry) != ONNXPORT_CONFIG_INT) expected_at(path_, "a list of lists of integers");
      values.push_back(api_->as_int(entry));
    }
    return values;
  }

  /// A list of true and false.
  std::vector<bool> booleans(std::string_view key) const {
    if (!has(key)) return {};
    const onnxport_config* node = member(key);
    if (api_->type(node) != ONNXPORT_CONFIG_LIST) wrong(key, "a list of true and false");
    std::vector<bool> values;
    for (size_t i = 0; i < api_->size(node); ++i) {
      const onnxport_config* entry = api_->entry(node, i);
      if (api_->type(entry) != ONNXPORT_CONFIG_BOOL) wrong(key, "a list of true and false");
      values.push_back(api_->as_bool(entry) != 0);
    }
    return values;
  }
  /// Lists of integers in a list: [[1, 3], [1, 5]].
  std::vector<std::vector<int64_t>> integer_lists(std::string_view key) const {
    std::vector<std::vector<int64_t>> values;
    for (const Config& row : lists(key)) values.push_back(row.integers_from(0));
    return values;
  }

  /// One token's id or a list of them: eos_token_id.
  std::vector<int64_t> ids(std::string_view key) const {
    if (api_->type(member(key)) == ONNXPORT_CONFIG_INT) return {integer(key)};
    return integers(key);
  }

  std::vector<double> reals(std::string_view key) const {
    if (!has(key)) return {};
    const onnxport_config* node = member(key);
    if (api_->type(node) != ONNXPORT_CONFIG_LIST) wrong(key, "a list of numbers");
    std::vector<double> values;
    for (size_t i = 0; i < api_->size(node); ++i) {
      const std::optional<double> value = number(api_->entry(node, i));
      if (!value) wrong(key, "a list of numbers");
      values.push_back(*value);
    }
    return values;
  }

  std::vector<std::string> texts(std::string_view key) const {
    if (!has(key)) return {};
    const onnxport_config* node = member(key);
    if (api_->type(node) != ONNXPORT_CONFIG_LIST) wrong(key, "a list of texts");
    std::vector<std::string> values;
    for (size_t i = 0; i < api_->size(node); ++i) {
      const onnxport_config* entry = api_->entry(node, i);
      if (api_->type(entry) != ONNXPORT_CONFIG_STRING) wrong(key, "a list of texts");
      values.emplace_back(from_abi(api_->as_string(entry)));
    }
    return values;
  }

  /// Texts that are written as lists and how often each is repeated: [[["global", "local"], 2]] is global, local,
  /// global, local.
  std::vector<std::string> repeated_texts(std::string_view key) const {
    constexpr std::string_view expected = "a list of lists of texts, each with a number of times";
    constexpr size_t most = 100'000;
    const onnxport_config* node = member(key);
    if (!is_list_or_absent(node)) wrong(key, expected);
    std::vector<std::string> values;
    for (size_t i = 0; i < api_->size(node); ++i) {
      const onnxport_config* texts = api_->entry(api_->entry(node, i), 0);
      const onnxport_config* times = api_->entry(api_->entry(node, i), 1);
      if (api_->type(texts) != ONNXPORT_CONFIG_LIST || api_->type(times) != ONNXPORT_CONFIG_INT) wrong(key, expected);
      for (int64_t n = 0; n < api_->as_int(times) && values.size() < most; ++n) {
        for (size_t j = 0; j < api_->size(texts); ++j) {
          const onnxport_config* entry = api_->entry(texts, j);
          if (api_->type(entry) != ONNXPORT_CONFIG_STRING) wrong(key, expected);
          values.emplace_back(from_abi(api_->as_string(entry)));
        }
        if (api_->size(texts) == 0) break;
      }
    }
    return values;
  }

  std::optional<double> maybe_real(std::string_view key) const {
    return has(key) ? std::optional<double>(real(key, 0)) : std::nullopt;
  }

  /// Entries of a list or map; nullopt where absent.
  std::optional<size_t> entries(std::string_view key) const {
    if (!has(key)) return std::nullopt;
    return api_->size(member(key));
  }

  /// A map within this one; its fields are absent where it is.
  Config section(std::string_view key) const { return {host_, member(key), full(key)}; }

  /// A list of maps; empty where absent.
  std::vector<Config> sections(std::string_view key) const {
    if (!has(key)) return {};
    const onnxport_config* node = member(key);
    if (api_->type(node) != ONNXPORT_CONFIG_LIST) wrong(key, "a list of maps");
    std::vector<Config> maps;
    for (size_t i = 0; i < api_->size(node); ++i) {
      const onnxport_config* entry = api_->entry(node, i);
      if (api_->type(entry) != ONNXPORT_CONFIG_MAP) wrong(key, "a list of maps");
      maps.emplace_back(host_, entry, full(key) + "." + std::to_string(i));
    }
    return maps;
  }

  /// Fields that are known to change nothing in the graph, so that the user is not told of them.
  void no_effect(std::initializer_list<std::string_view> keys) const {
    for (std::string_view key : keys) member(key);
  }

  /// Throws CONFIG where this is no map: the section is missing, or something else.
  const Config& require_map() const {
    if (api_->type(node_) == ONNXPORT_CONFIG_MAP) return *this;
    throw Error(ONNXPORT_CONFIG, "config field '" + path_ + "' is missing: expected the map that describes that part");
  }

  const onnxport_host* host() const { return host_; }
  const onnxport_config* node() const { return node_; }

  /// A map without any field.
  Config none() const { return {host_, api_->entry(node_, 0), path_}; }

  /// Whether config.json was written by a version of transformers before major.minor, to which later options mean
  /// nothing; false where it does not tell.
  bool written_before(int64_t major, int64_t minor) const {
    const auto written = version();
    return written && *written < std::pair{major, minor};
  }
  /// Whether it was written by that version or a later one; false where it does not tell.
  bool written_since(int64_t major, int64_t minor) const {
    const auto written = version();
    return written && *written >= std::pair{major, minor};
  }

  /// Whether a head takes the embedding's table, by tie_word_embeddings.
  Tie tie(bool fallback) const { return {boolean("tie_word_embeddings", fallback), written_since(5, 0)}; }

  /// The same config, where a field may have another name: {"n_head", "num_attention_heads"}, or several, one pair for
  /// each. Where a file has both, the other one counts. Source: attribute_map of the config classes, transformers 4.57
  /// and 5.24.
  Config with_names(std::initializer_list<std::pair<const char*, const char*>> names) const {
    Config named = *this;
    for (const auto& [own, other] : names) named.names_.emplace(own, other);
    return named;
  }

  /// The number of labels of a classification head: the size of id2label, else num_labels, else the class's own
  /// default; since version 5 num_labels comes first. Source: PretrainedConfig, transformers 4.30 and 5.24.
  int64_t num_labels(int64_t fallback = 2) const {
    const int64_t stated = integer("num_labels", fallback);
    if (written_since(5, 0) && has("num_labels")) return stated;
    if (const auto labels = entries("id2label"); labels && *labels > 0) return static_cast<int64_t>(*labels);
    return stated;
  }

 private:
  bool is_list_or_absent(const onnxport_config* node) const {
    const auto type = api_->type(node);
    return type == ONNXPORT_CONFIG_LIST || type == ONNXPORT_CONFIG_ABSENT || type == ONNXPORT_CONFIG_NULL;
  }
  /// Major and minor of the version that wrote config.json.
  std::optional<std::pair<int64_t, int64_t>> version() const {
    const std::string written = text("transformers_version", "");
    const size_t dot = written.find('.');
    if (dot == std::string::npos) return std::nullopt;
    return std::pair<int64_t, int64_t>{std::atoll(written.c_str()), std::atoll(written.c_str() + dot + 1)};
  }
  const onnxport_config* member(std::string_view key) const {
    const onnxport_config* own = api_->member(node_, to_abi(key));
    const auto [first, last] = names_.equal_range(std::string(key));
    for (auto name = first; name != last; ++name) {
      const onnxport_config* other = api_->member(node_, to_abi(name->second));
      const auto type = api_->type(other);
      if (type == ONNXPORT_CONFIG_ABSENT || type == ONNXPORT_CONFIG_NULL) continue;
      if (api_->type(own) == ONNXPORT_CONFIG_ABSENT || !tells_nothing_beside(key, name->second)) return other;
    }
    return own;
  }
  /// Whether the other name of a field says nothing where the field itself is there: transformers 4 wrote
  /// num_hidden_layers beside the layers of each side, as a field of its own.
  bool tells_nothing_beside(std::string_view key, std::string_view other) const {
    return other == "num_hidden_layers" && key.ends_with("coder_layers") && !written_since(5, 0);
  }
  /// A number, or {"__float__": "Infinity"}, as transformers 5 writes what JSON has no number for.
  std::optional<double> number(const onnxport_config* node) const {
    const auto type = api_->type(node);
    if (type == ONNXPORT_CONFIG_INT || type == ONNXPORT_CONFIG_FLOAT) return api_->as_float(node);
    const onnxport_config* name = type == ONNXPORT_CONFIG_MAP ? api_->member(node, to_abi("__float__")) : nullptr;
    if (name == nullptr || api_->type(name) != ONNXPORT_CONFIG_STRING) return std::nullopt;
    const std::string_view text = from_abi(api_->as_string(name));
    if (text == "Infinity") return std::numeric_limits<double>::infinity();
    if (text == "-Infinity") return -std::numeric_limits<double>::infinity();
    return std::nullopt;
  }
  std::string full(std::string_view key) const {
    return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
  }
  [[noreturn]] void wrong(std::string_view key, std::string_view expected) const { expected_at(full(key), expected); }
  [[noreturn]] static void expected_at(const std::string& path, std::string_view expected) {
    throw Error(ONNXPORT_CONFIG, "config field '" + path + "' has another type: expected " + std::string(expected));
  }
  template <class T>
  T required(std::string_view key, const std::optional<T>& value, std::string_view expected) const {
    if (!value)
      throw Error(ONNXPORT_CONFIG, "config field '" + full(key) + "' is missing: expected " + std::string(expected));
    return *value;
  }
  int64_t positive(std::string_view key, int64_t value) const {
    if (value <= 0)
      throw Error(ONNXPORT_CONFIG,
                  "config field '" + full(key) + "' is " + std::to_string(value) + "; expected more than 0");
    return value;
  }

  const onnxport_config_1* api_;
  const onnxport_host* host_;
  const onnxport_config* node_;
  std::string path_;
  std::multimap<std::string, std::string> names_;
};

/// A field by its name in config.json, for messages.
struct Field {
  std::string_view name;
  int64_t value;
};
/// Throws CONFIG where `whole` does not divide into `parts`: a hidden size into its heads.
inline void require_multiple(const Field& whole, const Field& parts) {
  if (whole.value % parts.value == 0) return;
  throw Error(ONNXPORT_CONFIG, "config field '" + std::string(whole.name) + "' is " + std::to_string(whole.value) +
                                   ", not a multiple of " + std::string(parts.name) + " (" +
                                   std::to_string(parts.value) + ")");
}
/// Throws CONFIG where a field is not what another one is, or above a bound.
inline void require_equal(const Field& field, const Field& other) {
  if (field.value == other.value) return;
  throw Error(ONNXPORT_CONFIG, "config field '" + std::string(field.name) + "' is " + std::to_string(field.value) +
                                   "; expected " + std::string(other.name) + " (" + std::to_string(other.value) + ")");
}
inline void require_at_most(const Field& field, const Field& bound) {
  if (field.value <= bound.value) return;
  throw Error(ONNXPORT_CONFIG, "config field '" + std::string(field.name) + "' is " + std::to_string(field.value) +
                                   "; expected at most " + std::string(bound.name) + " (" +
                                   std::to_string(bound.value) + ")");
}

}  // namespace onnxport::sdk
