// SPDX-License-Identifier: Apache-2.0
// CANINE: BERT over short runs of characters, between shallow layers over the characters themselves.
// Source: CanineModel and its heads, transformers 5.24 (modeling_canine.py).
#include <limits>

#include <onnxport/convolutions.hpp>
#include <onnxport/families/bert.hpp>

using namespace onnxport::family;

namespace {

constexpr int64_t code_points = 0x110000;  // of Unicode, which are the tokens
constexpr int64_t primes[] = {31, 43, 59, 61, 73, 97, 103, 113, 137, 149, 157, 173, 181, 193, 211, 223};

struct CanineConfig {
  CanineConfig(const Config& c, const BertEncoder& bert)
      : rate(c.size("downsampling_rate", 4)),
        window(c.size("upsampling_kernel_size", 4)),
        hashes(c.size("num_hash_functions", 8)),
        buckets(c.size("num_hash_buckets", 16384)),
        block(c.size("local_transformer_stride", 128)) {
    if (!c.written_since(5, 0)) c.choice("position_embedding_type", "absolute", {"absolute"});
    require_multiple({"hidden_size", bert.hidden}, {"num_hash_functions", hashes});
    require_at_most({"num_hash_functions", hashes}, {"the number of known primes", std::size(primes)});
  }
  int64_t rate;    // characters of a molecule, which is what the deep layers read
  int64_t window;  // characters around one that tell what becomes of it
  int64_t hashes, buckets;
  int64_t block;  // characters that see each other at first
};

class CanineOnnxConfig final : public BertTextEncoder {
 public:
  explicit CanineOnnxConfig(const Request& request)
      : BertTextEncoder(request, "canine", {.max_positions = 16384, .segments = 16, .relative = false}),
        c(request.config, bert) {}

  std::vector<AxisSize> axis_sizes() const override { return {{.axis = axis::sequence, .minimum = c.rate}}; }

 private:
  TextEncoderTraits traits() const override {
    TextEncoderTraits t = BertTextEncoder::traits();
    t.vocab = code_points;
    return t;
  }

  Encoding encode_all(const Scope& s, const Text& text) const override {
    const Value characters =
        encode_blocks(s / "initial_char_encoder.layer.0", embed(s / "char_embeddings", text), text);
    const Value pooled = max_pool1d(unsqueeze(cast(text.mask, DType::f32), {1}), {c.rate, c.rate});
    const Value molecules =
        encode_deep(s, molecules_of(s / "chars_to_molecules", characters), cast(squeeze(pooled, {1}), DType::i64));
    const Value both = concat({characters, for_characters(molecules, size_of(text.ids, 1))}, -1);
    const Run last{.count = 1, .state = 3 + bert.layers, .probabilities = 1 + bert.layers, .mask = text.mask};
    return {run(s / "final_char_encoder.layer", project_characters(s / "projection", both), last), molecules};
  }

  // A character's vector is made of slices, each of a table by a hash of its own. The tables stand below each other
  // here.
  Value embed(const Scope& s, const Text& text) const override {
    Graph& g = s.graph();
    const int64_t width = bert.hidden / c.hashes;
    std::vector<Value> tables;
    std::vector<int64_t> firsts;
    for (int64_t i = 0; i < c.hashes; ++i) {
      tables.push_back((s / ("HashBucketCodepointEmbedder_" + std::to_string(i))).weight("weight", {c.buckets, width}));
      firsts.push_back(i * c.buckets);
    }
    const Value factors = g.integers({std::begin(primes), std::begin(primes) + c.hashes});
    const Value hashed = g.op("Mod", {unsqueeze(text.ids.in(s) + g.integer(1), {2}) * factors, g.integer(c.buckets)});
    const Value table = reshape(s.composite("Stack", tables), {-1, width});
    const Value slices = gather(table, hashed + g.integers(firsts));
    const Value positions = (s / "char_position_embeddings").weight("weight", {c.buckets, bert.hidden});
    const Value x = reshape(slices, {0, 0, bert.hidden}) +
                    embedding(s / "token_type_embeddings", text.segments_or_first(), {bert.segments, bert.hidden}) +
                    first_rows(positions, size_of(text.ids, 1));
    return norm(s / "LayerNorm", x, {.epsilon = bert.epsilon});
  }

  // A layer whose characters see their block alone.
  Value encode_blocks(const Scope& s, const Value& x, const Text& text) const {
    TransformerLayer layer = bert.layer();
    layer.own_attention = [&](const Scope& module, const Value& read, const Attended&) {
      return linear(module / "output.dense", attend_blocks(module, read, text.mask), {.out = bert.hidden});
    };
    Graph& g = s.graph();
    return g.mark("hidden_states.1", transformer_layer(s, g.mark("hidden_states.0", x), layer, {}));
  }

  // The last block is filled up with the last character.
  Value attend_blocks(const Scope& s, const Value& x, const Value& mask) const {
    Graph& g = s.graph();
    const Value length = size_of(x, 1), size = g.integer(c.block);
    const Value blocks = g.op("Div", {length + g.integer(c.block - 1), size});
    const Value wanted = unsqueeze(range(blocks) * size, {1}) + range(size);
    const Value places = g.op("Min", {wanted, length - g.integer(1)});

    // Characters that do not count are far below those that do, and what fills up is far below even these: where none
    // of a block counts, its characters see all of it alike.
    const Value counts = equal(gather(mask.in(s), places, 1), 1);
    const Value is_there = g.op("Less", {wanted, length});
    const Value low = where(counts, g.scalar(0), g.scalar(-1e30));
    const Value bias = where(is_there, low, g.scalar(static_cast<double>(std::numeric_limits<float>::lowest())));
    const AttentionBlock attention = bert.layer().attention;
    const Value block = reshape(gather(x.in(s), places, 1), {-1, c.block, bert.hidden});
    const Value mixed = mix(s, project(s, block, attention), attention, {.bias = reshape(bias, {-1, 1, 1, c.block})});
    const Value in_row = reshape(mixed, concat({shape_of(x, 0, 1), g.integers({-1, bert.hidden})}, 0));
    return gather(in_row, range(length), 1);
  }

  // Runs of characters, of which the last makes place for the first character of all.
  Value molecules_of(const Scope& s, const Value& x) const {
    const Value made =
        conv1d(s / "conv", transpose(x.in(s), {0, 2, 1}), {.out = bert.hidden, .kernel = c.rate, .stride = c.rate});
    const Value runs = activation(transpose(made, {0, 2, 1}), bert.activation);
    return norm(s / "LayerNorm", concat({slice(x.in(s), {1, 0, 1}), slice(runs, {1, 0, -1})}, 1),
                {.epsilon = bert.epsilon});
  }

  Value encode_deep(const Scope& s, const Value& molecules, const Value& mask) const {
    return run(s / "encoder.layer", molecules, {.count = bert.layers, .state = 2, .probabilities = 1, .mask = mask});
  }

  /// Layers in a row, whose steps are counted on from those before: the reference joins the lists of all three
  /// encoders.
  struct Run {
    int64_t count;
    int64_t state, probabilities;  // the first one's numbers
    Value mask;
  };
  Value run(const Scope& layers, Value x, const Run& of) const {
    Graph& g = layers.graph();
    for (int64_t i = 0; i < of.count; ++i) {
      g.mark("hidden_states." + std::to_string(of.state + i), x);
      x = transformer_layer(layers / i, x, bert.layer(),
                            {.mask = of.mask, .probabilities = "attentions." + std::to_string(of.probabilities + i)});
    }
    return g.mark("hidden_states." + std::to_string(of.state + of.count), x);
  }

  // Every character's molecule behind the first; the last characters have the last one.
  Value for_characters(const Value& molecules, const Value& length) const {
    Graph& g = molecules.graph();
    const Value own = g.op("Div", {range(length), g.integer(c.rate)}) + g.integer(1);
    return gather(molecules, g.op("Min", {own, size_of(molecules, 1) - g.integer(1)}), 1);
  }

  // A molecule and a character, twice the width, over the neighbours -> a character.
  Value project_characters(const Scope& s, const Value& x) const {
    const int64_t around = c.window - 1;
    const Value y =
        conv1d(s / "conv", transpose(x.in(s), {0, 2, 1}),
               {.out = bert.hidden, .kernel = c.window, .padding = around / 2, .padding_behind = around - around / 2});
    return norm(s / "LayerNorm", activation(transpose(y, {0, 2, 1}), bert.activation), {.epsilon = bert.epsilon})
        .in(s.parent());
  }

  TextHeads text_heads() const override { return {}; }

  const CanineConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.canine",
    .name = "CANINE",
    .models = {{.types = {"canine"},
                .features = {"default", "sequence-classification", "token-classification", "multiple-choice",
                             "question-answering"},
                .make = make<CanineOnnxConfig>}},
})
