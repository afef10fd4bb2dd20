// SPDX-License-Identifier: Apache-2.0
// BART and its relatives: what tells them apart, and their configs. Source: BartConfig and its twins of mBART, PLBART,
// MVP, Marian, Pegasus, BigBird-Pegasus, Blenderbot, M2M100 and LED, transformers 4.30, 4.57 and 5.24.
#pragma once

#include <onnxport/blocks/block_sparse_attention.hpp>
#include <onnxport/blocks/layer.hpp>
#include <onnxport/blocks/windowed_attention.hpp>
#include <onnxport/plugin.hpp>

#include "global_local.hpp"

namespace bart {

using namespace onnxport::sdk;

enum class Places {
  learned,
  sinusoidal,  ///< a table of them, which may be saved
  computed,    ///< sinusoids of any number of places
  counted,     ///< sinusoids of any number of places, which count the tokens that are no padding
};

enum class EncoderAttention { whole, big_bird, longformer, global_local };

/// Whether a cached step of one token leaves out the padding before it.
enum class LoneStep { masked, masked_since_4_35, unmasked };

/// What a relative does otherwise than BART, and the defaults of its config class.
struct Family {
  const char* type;
  const char* base = "model";         // the module of both sides
  Placement norm = Placement::after;  // of a layer: before or after its blocks
  bool embedding_norm = true;         // over the embeddings
  bool words_normed_first = false;    // in the decoder places are added to what is normed already
  const char* final_norm = nullptr;   // behind the last layer
  Places places = Places::learned;
  int64_t offset = 0;      // of the first position in the learnt table
  bool words_bias = true;  // the head of words has final_logits_bias
  bool attention_bias = true;
  /// Modules of a layer.
  const char *feed_forward_at = "", *feed_forward_norm = "final_layer_norm";
  const char *cross_at = "encoder_attn", *cross_norm = "encoder_attn_layer_norm";
  bool has_experts = false;  // every so many layers
  EncoderAttention encoder_attention = EncoderAttention::whole;
  LoneStep lone_step = LoneStep::masked;

  int64_t vocab = 50265, positions = 1024, width = 1024;
  int64_t decoder_positions = 0;  // 0: one field tells both sides'
  int64_t encoder_layers = 12, decoder_layers = 12, heads = 16, inner = 4096;
  const char* activation = "gelu";
  std::optional<bool> scaled = false;  // none: whatever a config says of it
  int64_t padding = 1, eos = 2, labels = 2;
};
inline constexpr Family families[] = {
    {.type = "bart", .offset = 2, .labels = 3},
    {.type = "mvp", .offset = 2, .vocab = 50267},
    {.type = "mbart", .norm = Placement::before, .final_norm = "layer_norm", .offset = 2},
    {.type = "plbart",
     .offset = 2,
     .vocab = 50005,
     .width = 768,
     .encoder_layers = 6,
     .decoder_layers = 6,
     .heads = 12,
     .inner = 3072,
     .scaled = true},
    {.type = "marian", .embedding_norm = false, .places = Places::sinusoidal, .vocab = 58101},
    {.type = "pegasus",
     .norm = Placement::before,
     .embedding_norm = false,
     .final_norm = "layer_norm",
     .places = Places::sinusoidal},
    {.type = "bigbird_pegasus",
     .norm = Placement::before,
     .embedding_norm = false,
     .final_norm = "layernorm_embedding",
     .encoder_attention = EncoderAttention::big_bird,
     .vocab = 96103,
     .positions = 4096,
     .encoder_layers = 16,
     .decoder_layers = 16,
     .activation = "gelu_new",
     .scaled = true,
     .padding = 0,
     .eos = 1},
    {.type = "led",
     .base = "led",
     .encoder_attention = EncoderAttention::longformer,
     .lone_step = LoneStep::unmasked,
     .positions = 16384,
     .decoder_positions = 1024,
     .scaled = std::nullopt},
    {.type = "pegasus_x",
     .norm = Placement::before,
     .embedding_norm = false,
     .final_norm = "layer_norm",
     .places = Places::computed,
     .words_bias = false,
     .attention_bias = false,
     .encoder_attention = EncoderAttention::global_local,
     .vocab = 96103,
     .positions = 16384,
     .encoder_layers = 16,
     .decoder_layers = 16,
     .scaled = true,
     .padding = 0,
     .eos = 1},
    {.type = "blenderbot",
     .norm = Placement::before,
     .embedding_norm = false,
     .final_norm = "layer_norm",
     .vocab = 8008,
     .positions = 128,
     .width = 2560,
     .encoder_layers = 2,
     .decoder_layers = 24,
     .heads = 32,
     .inner = 10240},
    {.type = "blenderbot-small",
     .words_normed_first = true,
     .positions = 512,
     .width = 512,
     .encoder_layers = 8,
     .decoder_layers = 8,
     .inner = 2048},
    {.type = "m2m_100",
     .norm = Placement::before,
     .embedding_norm = false,
     .final_norm = "layer_norm",
     .places = Places::counted,
     .words_bias = false,
     .lone_step = LoneStep::masked_since_4_35,
     .vocab = 128112,
     .activation = "relu",
     .scaled = true},
    {.type = "nllb-moe",
     .norm = Placement::before,
     .embedding_norm = false,
     .final_norm = "layer_norm",
     .places = Places::counted,
     .words_bias = false,
     .feed_forward_at = "ffn",
     .feed_forward_norm = "ff_layer_norm",
     .cross_at = "cross_attention",
     .cross_norm = "cross_attention_layer_norm",
     .has_experts = true,
     .lone_step = LoneStep::masked_since_4_35,
     .vocab = 128112,
     .activation = "relu",
     .scaled = true},
};

/// NLLB's experts: each token's best two, whose shares are divided by their sum.
struct SparseLayers {
  /// Who computes what a token's best two are to say. Version 5 takes the places of the mask that chooses the best for
  /// experts' numbers: expert 1 answers for the best and expert 0 for the next, whichever they are, and nobody asks the
  /// others. What was trained there is right so alone. Source: NllbMoeExperts, transformers 5.24.
  enum class Asked { chosen, first_two };

  SparseLayers() = default;
  explicit SparseLayers(const Config& c)
      : experts(c.size("num_experts", 128)),
        router_bias(c.boolean("router_bias", false)),
        routes_padding(c.boolean("router_ignore_padding_tokens", false)),
        asked(c.written_since(5, 0) ? Asked::first_two : Asked::chosen),
        share(1 - c.real("moe_token_dropout", 0.2)) {
    c.choice("second_expert_policy", "all", {"all"});  // the others draw lots
    const double capacity = c.real("moe_eval_capacity_token_fraction", 1.0);
    if (capacity < 1) {
      throw Error(ONNXPORT_UNSUPPORTED, "config field 'moe_eval_capacity_token_fraction' is " +
                                            std::to_string(capacity) +
                                            "; experts that turn tokens away are not supported, expected 1 or more");
    }
    if (asked == Asked::first_two && experts < 2) {
      throw Error(ONNXPORT_UNSUPPORTED, "config field 'num_experts' is " + std::to_string(experts) +
                                            "; the class of transformers 5 asks two, expected 2 or more");
    }
    c.no_effect({"expert_capacity", "batch_prioritized_routing", "normalize_router_prob_before_dropping",
                 "router_dtype", "router_z_loss_coef", "router_aux_loss_coef", "output_router_logits"});
  }
  int64_t experts = 0;
  bool router_bias = false;
  bool routes_padding = false;  // experts are asked of tokens that do not count as well
  Asked asked = Asked::chosen;
  double share = 1;  // of what experts yield
};

struct BartConfig {
  BartConfig(const Config& c, const Family& family)
      : vocab(c.size("vocab_size", family.vocab)),
        decoder_vocab(c.size("decoder_vocab_size", vocab)),
        width(c.size("d_model", family.width)),
        encoder{c.count("encoder_layers", family.encoder_layers), c.size("encoder_attention_heads", family.heads),
                c.size("encoder_ffn_dim", family.inner)},
        decoder{c.count("decoder_layers", family.decoder_layers), c.size("decoder_attention_heads", family.heads),
                c.size("decoder_ffn_dim", family.inner)},
        padding(c.integer("pad_token_id", family.padding)),
        activation(c.text("activation_function", family.activation)),
        scale(is_scaled(c, family) ? std::sqrt(static_cast<double>(width)) : 1.0),
        attention_bias(family.attention_bias),
        shared(c.boolean("share_encoder_decoder_embeddings", true)),
        is_recent(c.written_since(5, 0)),
        lone_step_sees_all(family.lone_step == LoneStep::unmasked ||
                           (family.lone_step == LoneStep::masked_since_4_35 && c.written_before(4, 35))),
        tied(c.tie(true)),
        eos(c.has("eos_token_id") ? c.ids("eos_token_id") : std::vector<int64_t>{family.eos}),
        labels(c.num_labels(family.labels)) {
    if (family.decoder_positions == 0) {
      encoder.positions = decoder.positions = c.size("max_position_embeddings", family.positions);
    } else {
      encoder.positions = c.size("max_encoder_position_embeddings", family.positions);
      decoder.positions = c.size("max_decoder_position_embeddings", family.decoder_positions);
    }
    for (const int64_t heads : {encoder.heads, decoder.heads}) {
      if (width % heads != 0) {
        throw Error(ONNXPORT_CONFIG, "config field 'd_model' is " + std::to_string(width) +
                                         ", not a multiple of the attention heads (" + std::to_string(heads) + ")");
      }
    }
    if (family.encoder_attention == EncoderAttention::global_local) {
      global_local = {encoder.heads, width / encoder.heads, c.size("block_size", 512), c.size("num_global_tokens", 32)};
      staggered = c.boolean("stagger_local_blocks", true);
      if (staggered) require_multiple({"block_size", global_local.block}, {"2, as blocks are staggered", 2});
    }
    if (family.encoder_attention == EncoderAttention::longformer) {
      windows = attention_windows(c, encoder.layers);
    }
    if (family.encoder_attention == EncoderAttention::big_bird) {
      attention_bias = c.boolean("use_bias", false);
      is_sparse = c.choice("attention_type", "block_sparse", {"original_full", "block_sparse"}) == "block_sparse";
      blocks = {c.size("block_size", 64), c.count("num_random_blocks", 3)};
    }
    if (family.has_experts) {
      encoder.every = c.count("encoder_sparse_step", 4);
      decoder.every = c.count("decoder_sparse_step", 4);
      sparse = SparseLayers(c);
    }
    // Of the models' forerunners, and of training.
    c.no_effect({"num_hidden_layers", "init_std", "encoder_layerdrop", "decoder_layerdrop", "normalize_before",
                 "normalize_embedding", "add_final_layer_norm", "add_bias_logits", "static_position_embeddings",
                 "extra_pos_embeddings", "force_bos_token_to_be_generated", "max_decoder_position_embeddings",
                 "min_position_embeddings", "layernorm_embedding", "do_blenderbot_90_layernorm"});
    if (c.boolean("use_prompt", false)) {
      throw Error(ONNXPORT_UNSUPPORTED,
                  "config field 'use_prompt' is true; keys and values that are learnt in front of a text are not "
                  "supported");
    }
    c.no_effect({"prompt_length", "prompt_mid_dim"});
    if ((family.places == Places::counted || family.places == Places::computed) && width % 2 != 0) {
      throw Error(ONNXPORT_UNSUPPORTED, "config field 'd_model' is " + std::to_string(width) +
                                            "; sinusoids of an odd width are not supported");
    }
  }
  static bool is_scaled(const Config& c, const Family& family) {
    if (family.scaled) return c.boolean("scale_embedding", *family.scaled);
    c.no_effect({"scale_embedding"});
    return false;
  }
  struct Side {
    int64_t layers, heads, inner;
    int64_t positions = 0;
    int64_t every = 0;  // so many layers one has experts; 0: none

    bool is_sparse(int64_t layer) const { return every > 0 && (layer + 1) % every == 0; }
  };
  int64_t vocab, decoder_vocab, width;
  Side encoder, decoder;
  int64_t padding;
  std::string activation;
  double scale;
  bool attention_bias;
  bool is_sparse = false;  // BigBird's encoder sees blocks of a long text
  SparseBlocks blocks{};
  SparseLayers sparse{};
  GlobalLocal global_local{};    // Pegasus-X's encoder
  bool staggered = false;        // every second layer's blocks begin half a block before
  std::vector<int64_t> windows;  // Longformer's encoder: how far a token of each layer sees, to both sides together
  bool shared;
  bool is_recent;  // written by version 5, where a side's table that is saved beside the shared one is one of its own
  bool lone_step_sees_all;
  Tie tied;
  std::vector<int64_t> eos;  // one, but for generation, which takes several
  int64_t labels;
};

}  // namespace bart
