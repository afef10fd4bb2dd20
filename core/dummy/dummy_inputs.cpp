// SPDX-License-Identifier: Apache-2.0
#include "core/dummy/dummy_inputs.hpp"

#include <algorithm>
#include <random>

#include "core/error.hpp"

namespace onnxport {
namespace {

using ir::DType;
using ir::Tensor;

/// Numbers that are the same with every standard library: only the engine is fixed by the standard, its
/// distributions are not. Each input has a stream of its own, so that one more input does not change the others.
class Stream {
 public:
  Stream(uint64_t seed, const std::string& name) {
    uint64_t hash = 14695981039346656037u ^ seed;  // FNV-1a
    for (unsigned char c : name) hash = (hash ^ c) * 1099511628211u;
    engine_.seed(hash);
  }
  int64_t below(int64_t limit) { return static_cast<int64_t>(engine_() % static_cast<uint64_t>(limit)); }
  /// In [-1, 1), in steps that every floating type of 24 bits or more holds exactly.
  float value() { return static_cast<float>(static_cast<int64_t>(engine_() >> 41)) / 4194304.0f - 1.0f; }

 private:
  std::mt19937_64 engine_;
};

/// What the text inputs need of a tokenizer, with ids that lie outside the vocabulary left out.
struct Tokens {
  std::vector<int64_t> before, between, after;
  std::vector<int64_t> special;
  int64_t unk = 0, pad = 0;
  bool pads_left = false;
};

std::optional<int64_t> config_id(const Json& config, const char* key) {
  if (!config.is_object()) return std::nullopt;
  const auto found = config.find(key);
  if (found == config.end()) return std::nullopt;
  if (found->is_number_integer()) return found->get<int64_t>();
  if (found->is_array() && !found->empty() && found->front().is_number_integer()) return found->front().get<int64_t>();
  return std::nullopt;
}

void keep_below(int64_t limit, std::vector<int64_t>& ids) {
  std::erase_if(ids, [&](int64_t id) { return id < 0 || id >= limit; });
}

Tokens tokens_for(const Preprocessor* preprocessor, const Json& config, int64_t limit) {
  Tokens tokens;
  int64_t unk = -1;
  std::optional<int64_t> pad = config_id(config, "pad_token_id");
  for (const char* key :
       {"pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id", "decoder_start_token_id"}) {
    if (const auto id = config_id(config, key)) tokens.special.push_back(*id);
  }
  if (preprocessor && (preprocessor->unk || preprocessor->pad || !preprocessor->special.empty())) {
    tokens.before = preprocessor->before;
    tokens.between = preprocessor->between;
    tokens.after = preprocessor->after;
    tokens.pads_left = preprocessor->pads_left;
    tokens.special.insert(tokens.special.end(), preprocessor->special.begin(), preprocessor->special.end());
    unk = preprocessor->unk.value_or(-1);
    // The model masks by the pad id of its config where it has one, whatever the tokenizer says.
    if (!pad) pad = preprocessor->pad;
  } else {
    const auto begin =
        config_id(config, "cls_token_id") ? config_id(config, "cls_token_id") : config_id(config, "bos_token_id");
    const auto end =
        config_id(config, "sep_token_id") ? config_id(config, "sep_token_id") : config_id(config, "eos_token_id");
    if (begin) tokens.before = {*begin};
    if (end) tokens.between = tokens.after = {*end};
  }
  if (limit > 0) {
    for (auto* ids : {&tokens.before, &tokens.between, &tokens.after, &tokens.special}) keep_below(limit, *ids);
    if (unk >= limit) unk = -1;
    if (pad && (*pad >= limit || *pad < 0)) pad.reset();
  }
  if (pad) tokens.special.push_back(*pad);
  tokens.pad = pad.value_or(0);
  if (unk >= 0) {
    tokens.unk = unk;
  } else {  // the first ordinary token
    const auto is_special = [&](int64_t id) {
      return std::count(tokens.special.begin(), tokens.special.end(), id) > 0;
    };
    while (is_special(tokens.unk) && tokens.unk + 1 < limit) ++tokens.unk;
  }
  return tokens;
}

/// config.json's image_size, a number or [height, width]; else what most models for images were trained on.
std::pair<int64_t, int64_t> image_size(const Json& config) {
  const auto found = config.is_object() ? config.find("image_size") : config.end();
  if (found != config.end() && found->is_number_integer()) return {found->get<int64_t>(), found->get<int64_t>()};
  if (found != config.end() && found->is_array() && found->size() == 2 && (*found)[0].is_number_integer() &&
      (*found)[1].is_number_integer()) {
    return {(*found)[0].get<int64_t>(), (*found)[1].get<int64_t>()};
  }
  return {224, 224};
}

/// Sizes of the axes by their names.
std::map<std::string, int64_t> axis_sizes(const Json& config, const Preprocessor* preprocessor,
                                          const DummyOptions& options) {
  const int64_t sequence = options.seq_length > 0 ? options.seq_length : 8;
  // Lengths that could be mistaken for each other differ, so that a graph that mixes them up does not run.
  const int64_t decoder = std::max<int64_t>(1, sequence - 1);
  std::map<std::string, int64_t> sizes{
      {"batch", options.batch_size > 0 ? options.batch_size : 2},
      {"sequence", sequence},
      {"choice", options.num_choices > 0 ? options.num_choices : 4},
      {"past_sequence", sequence + 2},
      {"encoder_sequence", sequence},
      {"decoder_sequence", decoder},
      {"past_decoder_sequence", decoder + 3},
  };
  const auto from = [&](const char* name, int64_t chosen, const std::optional<int64_t>& own,
                        const std::optional<int64_t>& other) {
    if (chosen > 0)
      sizes[name] = chosen;
    else if (own || other)
      sizes[name] = own ? *own : *other;
  };
  const auto member = [&](auto field) { return preprocessor ? preprocessor->*field : std::nullopt; };
  const auto [height, width] = image_size(config);
  from("height", options.image_height, member(&Preprocessor::image_height), height);
  from("width", options.image_width, member(&Preprocessor::image_width), width);
  from("num_channels", -1, config_id(config, "num_channels"), member(&Preprocessor::channels));
  return sizes;
}

std::vector<int64_t> shape_of(const InputSpec& spec, const std::map<std::string, int64_t>& sizes) {
  std::vector<int64_t> shape;
  for (const ir::Dim& dim : spec.type.shape) {
    const std::optional<int64_t> size = dim.evaluate(sizes);
    if (!size) {
      std::string unknown;
      for (const auto& [symbol, factor] : dim.terms()) {
        if (!sizes.contains(symbol)) unknown += (unknown.empty() ? "'" : ", '") + symbol + "'";
      }
      throw Error(
          Failure::plugin,
          "no size is known for the axis " + unknown + " of the input '" + spec.name + "', " + ir::to_string(spec.type),
          "the plugin can declare the axis under a common name (batch, sequence, choice, past_sequence, "
          "encoder_sequence, decoder_sequence, height, width); to export without such inputs: --no-validate");
    }
    shape.push_back(*size);
  }
  return shape;
}

/// Stores integers as the input's element type.
Tensor from_integers(DType dtype, std::vector<int64_t> shape, const std::vector<int64_t>& values) {
  const auto cast = [&]<class T>(T) {
    return Tensor::of<T>(dtype, std::move(shape), std::vector<T>(values.begin(), values.end()));
  };
  switch (dtype) {
    case DType::i64:
      return cast(int64_t{});
    case DType::i32:
      return cast(int32_t{});
    case DType::f32:
      return cast(float{});
    case DType::boolean:
    case DType::u8:
      return cast(uint8_t{});
    default:
      throw Error(Failure::plugin, "no dummy values are known for inputs of type " + std::string(ir::name_of(dtype)));
  }
}

/// Makes the inputs of one description; what several inputs share (how rows are padded) is decided here once.
class Maker {
 public:
  Maker(const Description& description, const Json& config, const Preprocessor* preprocessor,
        const DummyOptions& options)
      : config_(config),
        preprocessor_(preprocessor),
        options_(options),
        sizes_(axis_sizes(config, preprocessor, options)) {
    for (const InputSpec& spec : description.inputs) shapes_[spec.name] = shape_of(spec, sizes_);
    for (const InputSpec& spec : description.inputs) {
      if (spec.name.ends_with("input_ids")) limits_[stem(spec.name, "input_ids")] = vocabulary(spec);
    }
  }

  Tensor make(const InputSpec& spec) const {
    const std::string& name = spec.name;
    if (name.ends_with("input_ids")) return ids(spec);
    if (name == "global_attention_mask") return from_integers(spec.type.dtype, shape(spec), first_of_row(spec));
    if (name.ends_with("attention_mask"))
      return from_integers(spec.type.dtype, shape(spec), mask(stem(name, "attention_mask"), shape(spec)));
    if (name.ends_with("token_type_ids")) return segments(spec);
    if (name.ends_with("position_ids")) return positions(spec);
    if (name == "bbox") return boxes(spec);
    if (ir::is_floating(spec.type.dtype)) return values(spec);
    return others(spec);
  }

 private:
  static std::string stem(const std::string& name, const std::string& ending) {
    return name.substr(0, name.size() - ending.size());
  }
  const std::vector<int64_t>& shape(const InputSpec& spec) const { return shapes_.at(spec.name); }
  static int64_t width(const std::vector<int64_t>& shape) { return shape.empty() ? 1 : shape.back(); }
  static int64_t rows(const std::vector<int64_t>& shape) {
    int64_t count = 1;
    for (size_t i = 0; i + 1 < shape.size(); ++i) count *= shape[i];
    return count;
  }
  int64_t vocabulary(const InputSpec& spec) const {
    return spec.limit > 0 ? spec.limit : config_id(config_, "vocab_size").value_or(0);
  }
  Tokens tokens(const std::string& stem) const {
    const auto limit = limits_.find(stem);
    return tokens_for(preprocessor_, config_, limit == limits_.end() ? 0 : limit->second);
  }

  /// How many places of a row hold padding. Row 0 is full; a row keeps its special tokens and one more.
  int64_t padding(const std::string& stem, int64_t row, int64_t width) const {
    if (!options_.varied || !shapes_.contains(stem + "attention_mask")) return 0;
    const Tokens t = tokens(stem);
    const auto least = static_cast<int64_t>(t.before.size() + t.between.size() + t.after.size()) + 2;
    const int64_t most = std::max<int64_t>(0, width - std::min(least, std::max<int64_t>(1, width - 1)));
    return row == 0 || most == 0 ? 0 : 1 + (3 * row - 1) % most;
  }

  /// The width of the text that belongs to a mask: a mask may cover a past as well.
  int64_t text_width(const std::string& stem, int64_t fallback) const {
    const auto found = shapes_.find(stem + "input_ids");
    return found == shapes_.end() ? fallback : width(found->second);
  }

  std::vector<int64_t> mask(const std::string& stem, const std::vector<int64_t>& shape) const {
    const int64_t n = width(shape), text = text_width(stem, n);
    const bool left = tokens(stem).pads_left;
    std::vector<int64_t> out(static_cast<size_t>(rows(shape) * n), 1);
    for (int64_t row = 0; row < rows(shape); ++row) {
      const int64_t pad = padding(stem, row, text);
      const auto begin = out.begin() + row * n + (left ? 0 : n - pad);
      std::fill(begin, begin + pad, 0);
    }
    return out;
  }

  /// Where the text of a row lies within the row: [begin, end).
  std::pair<int64_t, int64_t> text_range(const std::string& stem, int64_t row, int64_t n) const {
    const int64_t pad = padding(stem, row, n);
    if (!tokens(stem).pads_left) return {0, n - pad};
    // With a past, the padding on the left lies in the past first.
    const auto found = shapes_.find(stem + "attention_mask");
    const int64_t past = found == shapes_.end() ? 0 : width(found->second) - n;
    return {std::max<int64_t>(0, pad - past), n};
  }

  Tensor ids(const InputSpec& spec) const {
    const std::string prefix = stem(spec.name, "input_ids");
    const Tokens t = tokens(prefix);
    const int64_t n = width(shape(spec)), limit = limits_.at(prefix);
    Stream stream(options_.seed, spec.name);
    const auto content = [&] {
      if (!options_.varied || limit <= 0) return t.unk;
      for (int attempt = 0; attempt < 64; ++attempt) {
        const int64_t id = stream.below(limit);
        if (std::count(t.special.begin(), t.special.end(), id) == 0) return id;
      }
      return t.unk;  // a vocabulary of nothing but special tokens
    };
    std::vector<int64_t> out(static_cast<size_t>(rows(shape(spec)) * n), t.pad);
    for (int64_t row = 0; row < rows(shape(spec)); ++row) {
      const auto [begin, end] = text_range(prefix, row, n);
      int64_t* text = out.data() + row * n;
      for (int64_t i = begin; i < end; ++i) text[i] = content();
      const auto put = [&](const std::vector<int64_t>& special, int64_t at) {
        std::copy(special.begin(), special.end(), text + at);
      };
      const auto around = static_cast<int64_t>(t.before.size() + t.after.size());
      if (end - begin <= around) continue;  // too short for special tokens: content only
      put(t.before, begin);
      put(t.after, end - static_cast<int64_t>(t.after.size()));
      if (pair(end - begin)) put(t.between, boundary(t, begin, end) - static_cast<int64_t>(t.between.size()));
    }
    return from_integers(spec.type.dtype, shape(spec), out);
  }

  /// Whether a row of this length holds two texts.
  bool pair(int64_t length) const {
    if (!options_.is_pair) return false;
    const Tokens t = tokens("");
    return length >= static_cast<int64_t>(t.before.size() + t.between.size() + t.after.size()) + 2;
  }
  /// Where the second text begins.
  static int64_t boundary(const Tokens& t, int64_t begin, int64_t end) {
    const auto before = static_cast<int64_t>(t.before.size()), between = static_cast<int64_t>(t.between.size());
    const int64_t content = end - begin - before - between - static_cast<int64_t>(t.after.size());
    return begin + before + (content + 1) / 2 + between;
  }

  Tensor segments(const InputSpec& spec) const {
    const std::string prefix = stem(spec.name, "token_type_ids");
    const Tokens t = tokens(prefix);
    const int64_t n = width(shape(spec));
    const int64_t most =
        spec.limit > 0 ? spec.limit : config_id(config_, "type_vocab_size").value_or(options_.is_pair ? 2 : 1);
    std::vector<int64_t> out(static_cast<size_t>(rows(shape(spec)) * n), 0);
    for (int64_t row = 0; row < rows(shape(spec)); ++row) {
      const auto [begin, end] = text_range(prefix, row, n);
      const int64_t second = boundary(t, begin, end);
      for (int64_t i = begin; i < end; ++i) {
        int64_t segment = 0;
        if (options_.is_pair)
          segment = i >= second ? 1 : 0;
        else if (options_.varied)
          segment = (i - begin) * most / std::max<int64_t>(1, end - begin);
        out[static_cast<size_t>(row * n + i)] = std::min(segment, most - 1);
      }
    }
    return from_integers(spec.type.dtype, shape(spec), out);
  }

  /// As generation counts them: the first token that is no padding has position 0, and a past comes before.
  Tensor positions(const InputSpec& spec) const {
    const std::string prefix = stem(spec.name, "position_ids");
    const int64_t n = width(shape(spec));
    const auto found = shapes_.find(prefix + "attention_mask");
    const std::vector<int64_t> seen = found == shapes_.end() ? std::vector<int64_t>() : mask(prefix, found->second);
    const int64_t total = found == shapes_.end() ? n : std::max(n, width(found->second));
    std::vector<int64_t> out;
    for (int64_t row = 0; row < rows(shape(spec)); ++row) {
      // One row for all where the input has no batch axis.
      int64_t count = 0;
      for (int64_t i = 0; i < total; ++i) {
        const size_t at = static_cast<size_t>(row * total + i);
        count += at < seen.size() ? seen[at] : 1;
        if (i >= total - n) out.push_back(std::max<int64_t>(0, count - 1));
      }
    }
    for (int64_t& position : out) {
      if (spec.limit > 0) position = std::min(position, spec.limit - 1);
    }
    return from_integers(spec.type.dtype, shape(spec), out);
  }

  /// Boxes x0, y0, x1, y1 with x0 <= x1 and y0 <= y1, on the scale of 0 to 1000 that layout models use.
  Tensor boxes(const InputSpec& spec) const {
    Stream stream(options_.seed, spec.name);
    const int64_t limit = spec.limit > 0 ? std::min<int64_t>(spec.limit, 1001) : 1001;
    std::vector<int64_t> out;
    for (int64_t box = 0; box < rows(shape(spec)); ++box) {
      int64_t x0 = stream.below(limit), y0 = stream.below(limit), x1 = stream.below(limit), y1 = stream.below(limit);
      if (x0 > x1) std::swap(x0, x1);
      if (y0 > y1) std::swap(y0, y1);
      out.insert(out.end(), {x0, y0, x1, y1});
    }
    if (width(shape(spec)) != 4) {
      throw Error(Failure::plugin,
                  "the input 'bbox' is declared as " + ir::to_string(spec.type) + "; its last axis has to be 4");
    }
    return from_integers(spec.type.dtype, shape(spec), out);
  }

  Tensor values(const InputSpec& spec) const {
    Stream stream(options_.seed, spec.name);
    std::vector<float> out(static_cast<size_t>(rows(shape(spec)) * width(shape(spec))));
    for (float& value : out) value = stream.value();
    if (spec.name == "pixel_values") into_pixel_range(shape(spec), out);
    if (spec.type.dtype == DType::f32) return Tensor::of<float>(DType::f32, shape(spec), out);
    if (spec.type.dtype == DType::f64)
      return Tensor::of<double>(DType::f64, shape(spec), std::vector<double>(out.begin(), out.end()));
    throw Error(Failure::plugin,
                "no dummy values are known for the input '" + spec.name + "', " + ir::to_string(spec.type));
  }

  /// From [-1, 1) to what the image processor makes of black and white, channel by channel.
  void into_pixel_range(const std::vector<int64_t>& shape, std::vector<float>& pixels) const {
    if (preprocessor_ == nullptr || shape.size() < 3) return;
    const auto& range = preprocessor_->pixel_range;
    const auto channels = static_cast<size_t>(shape[shape.size() - 3]);
    if (range.empty() || (range.size() != 1 && range.size() != channels)) return;
    const size_t area = static_cast<size_t>(shape[shape.size() - 2] * shape.back());
    for (size_t i = 0; i < pixels.size(); ++i) {
      const auto& [black, white] = range[range.size() == 1 ? 0 : i / area % channels];
      pixels[i] = black + (white - black) * (pixels[i] + 1) / 2;
    }
  }

  /// Global attention on the first token of each row.
  std::vector<int64_t> first_of_row(const InputSpec& spec) const {
    const int64_t n = width(shape(spec));
    std::vector<int64_t> out(static_cast<size_t>(rows(shape(spec)) * n), 0);
    for (size_t i = 0; i < out.size(); i += static_cast<size_t>(n)) out[i] = 1;
    return out;
  }

  /// An input of no known role: masks are full, indices are drawn below their limit, the rest is 0.
  Tensor others(const InputSpec& spec) const {
    Stream stream(options_.seed, spec.name);
    std::vector<int64_t> out(static_cast<size_t>(rows(shape(spec)) * width(shape(spec))), 0);
    for (int64_t& value : out) {
      if (spec.name.ends_with("mask"))
        value = 1;
      else if (options_.varied && spec.limit > 0)
        value = stream.below(spec.limit);
    }
    return from_integers(spec.type.dtype, shape(spec), out);
  }

  const Json& config_;
  const Preprocessor* preprocessor_;
  const DummyOptions& options_;
  std::map<std::string, int64_t> sizes_;
  std::map<std::string, std::vector<int64_t>> shapes_;
  std::map<std::string, int64_t> limits_;
};

}  // namespace

Tensors generate_dummy_inputs(const Description& description, const Json& config, const Preprocessor* preprocessor,
                              const DummyOptions& options) {
  const Maker maker(description, config, preprocessor, options);
  Tensors tensors;
  for (const InputSpec& spec : description.inputs) tensors.emplace(spec.name, maker.make(spec));
  return tensors;
}

}  // namespace onnxport
