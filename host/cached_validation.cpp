// SPDX-License-Identifier: Apache-2.0
#include "host/cached_validation.hpp"

#include <algorithm>
#include <memory>

#include "core/layout.hpp"

namespace onnxport {
namespace {

constexpr int64_t prefix = 4, step = 3;

ir::Tensor flag(bool value) {
  return ir::Tensor::of<uint8_t>(ir::DType::boolean, {1}, {value ? uint8_t{1} : uint8_t{0}});
}

/// An empty cache: what a first step has behind it.
Tensors no_past(const Description& description, int64_t batch) {
  Tensors past;
  for (const InputSpec& spec : description.inputs) {
    if (!spec.name.starts_with("past_key_values")) continue;
    std::vector<int64_t> shape;
    for (const ir::Dim& dim : spec.type.shape) shape.push_back(dim.is_static() ? dim.size() : 0);
    shape[0] = batch;
    past.emplace(spec.name, ir::Tensor{spec.type.dtype, shape, {}});
  }
  return past;
}

/// Positions as generation counts them, of the last n places of the mask.
ir::Tensor positions_of(const Tokens& tokens) {
  const int64_t batch = tokens.ids.shape[0], n = tokens.ids.shape[1], total = tokens.mask.shape[1];
  const auto counts = tokens.mask.as<int64_t>();
  std::vector<int64_t> positions;
  for (int64_t b = 0; b < batch; ++b) {
    int64_t seen = 0;
    for (int64_t i = 0; i < total; ++i) {
      seen += counts[static_cast<size_t>(b * total + i)];
      if (i >= total - n) positions.push_back(std::max<int64_t>(0, seen - 1));
    }
  }
  return ir::Tensor::of<int64_t>(ir::DType::i64, {batch, n}, positions);
}

bool takes(const Description& description, const std::string& name) {
  return std::any_of(description.inputs.begin(), description.inputs.end(),
                     [&](const InputSpec& spec) { return spec.name == name; });
}

/// The tensors and runs that a check is made of.
class CacheCheck {
 public:
  CacheCheck(const ExportToValidate& exported) : e_(exported) {}

  std::optional<ValidationRun> run(const Tolerance& tolerance) {
    const Description& main = e_.config.description();
    if (!e_.config.with_past()) return std::nullopt;
    const bool single = e_.graphs.size() == 1 && e_.graphs[0].definitions.size() == 1;
    if (single && takes(main, "decoder_input_ids"))
      return compare_cached_step(one_graph(), tokens("decoder_"), prefix, tolerance);
    if (single) return compare_cached_step(decoder_only(), tokens(""), prefix, tolerance);
    return compare_cached_step(parts(), tokens("", "decoder"), prefix, tolerance);
  }

 private:
  DummyOptions options() const {
    DummyOptions options;
    options.batch_size = 2;
    options.seq_length = prefix + step;
    options.varied = true;
    return options;
  }

  /// Ids of a decoder; every place counts, so that each row of the cache is compared.
  Tokens tokens(const std::string& stem, const std::string& part = {}) {
    // A decoder's length is one below the encoder's in dummy inputs.
    DummyOptions longer = options();
    longer.seq_length = prefix + step + 1;
    ir::Tensor ids = e_.config.generate_dummy_inputs(e_.preprocessor, longer, part).at(stem + "input_ids");
    ids = along_sequence(ids, 0, prefix + step);
    std::vector<int64_t> ones(static_cast<size_t>(ids.element_count()), 1);
    ir::Tensor mask = ir::Tensor::of<int64_t>(ir::DType::i64, ids.shape, ones);
    return {std::move(ids), std::move(mask)};
  }

  Runnable& file(const std::string& name) {
    auto& slot = files_[name];
    if (slot == nullptr) slot = load_backend("onnxruntime").load_file((e_.folder / name).string());
    return *slot;
  }

  /// One graph for all steps; a first one has an empty past.
  SteppedDecoder decoder_only() {
    const auto call = [this](const Tokens& tokens, Tensors inputs) {
      inputs.emplace("input_ids", tokens.ids);
      inputs.emplace("attention_mask", tokens.mask);
      if (takes(e_.config.description(), "position_ids")) inputs.emplace("position_ids", positions_of(tokens));
      return file(e_.graphs[0].file).run(inputs);
    };
    return {[this, call](const Tokens& tokens) {
              return call(tokens, no_past(e_.config.description(), tokens.ids.shape[0]));
            },
            [call](const Tokens& tokens, const Tensors& before) { return call(tokens, as_past(before)); }};
  }

  /// A graph of cached steps only: its first step is that of the definition.
  SteppedDecoder one_graph() {
    const Tensors dummy = e_.config.generate_dummy_inputs(e_.preprocessor, options());
    WeightSource& weights = *e_.weights;
    const std::vector<Definition> defined =
        e_.config.define_parts(weights, {"encoder", "decoder"}, {.allow_unused = true});
    Backend& reference = load_backend("reference");
    const std::shared_ptr<Runnable> decoder = reference.load_graph(defined[1].graph);
    const Tensors encoded =
        reference.load_graph(defined[0].graph)
            ->run({{"input_ids", dummy.at("input_ids")}, {"attention_mask", dummy.at("attention_mask")}});
    return {[decoder, dummy, encoded](const Tokens& tokens) {
              return decoder->run({{"input_ids", tokens.ids},
                                   {"encoder_attention_mask", dummy.at("attention_mask")},
                                   {"encoder_hidden_states", encoded.at("last_hidden_state")}});
            },
            [this, dummy](const Tokens& tokens, const Tensors& before) {
              Tensors inputs = as_past(before);
              inputs.emplace("input_ids", dummy.at("input_ids"));
              inputs.emplace("attention_mask", dummy.at("attention_mask"));
              inputs.emplace("decoder_input_ids", tokens.ids);
              inputs.emplace("decoder_attention_mask", tokens.mask);
              return file(e_.graphs[0].file).run(inputs);
            }};
  }

  /// The files that hold a part, and whether it stands under use_cache_branch.
  struct Holder {
    std::string file;
    bool merged;
  };
  Holder holder_of(const std::string& part) const {
    for (const GraphToExport& graph : e_.graphs) {
      for (const Definition* definition : graph.definitions) {
        if (definition->part == part) return {graph.file, graph.definitions.size() > 1};
      }
    }
    return {};
  }

  SteppedDecoder parts() {
    const Tensors dummy = e_.config.generate_dummy_inputs(e_.preprocessor, options(), "encoder");
    const ir::Tensor hidden = file(holder_of("encoder").file).run(dummy).at("last_hidden_state");
    const ir::Tensor mask = dummy.at("attention_mask");
    const Holder first = holder_of("decoder"), cached = holder_of("decoder_with_past");
    return {[this, hidden, mask, first](const Tokens& tokens) {
              Tensors inputs{
                  {"input_ids", tokens.ids}, {"encoder_attention_mask", mask}, {"encoder_hidden_states", hidden}};
              if (first.merged) {
                inputs.merge(no_past(e_.config.description("decoder_with_past"), tokens.ids.shape[0]));
                inputs.emplace(branch_input, flag(false));
              }
              return file(first.file).run(inputs);
            },
            [this, hidden, mask, cached](const Tokens& tokens, const Tensors& before) {
              Tensors inputs = as_past(before);
              inputs.emplace("input_ids", tokens.ids);
              inputs.emplace("encoder_attention_mask", mask);
              if (cached.merged) {
                inputs.emplace("encoder_hidden_states", hidden);
                inputs.emplace(branch_input, flag(true));
              }
              return file(cached.file).run(inputs);
            }};
  }

  const ExportToValidate& e_;
  std::map<std::string, std::unique_ptr<Runnable>> files_;
};

}  // namespace

std::optional<ValidationRun> validate_cached_step(const ExportToValidate& exported, const Tolerance& tolerance) {
  return CacheCheck(exported).run(tolerance);
}

}  // namespace onnxport
