// SPDX-License-Identifier: Apache-2.0
// Jina Embeddings v3: XLM-RoBERTa with rotary positions. Source: JinaEmbeddingsV3Model and its heads, transformers 5.24
// (modeling_jina_embeddings_v3.py); and XLMRobertaLoRA, the code that the first checkpoints bring along, whose config
// says xlm-roberta with position_embedding_type "rotary": there, adapters for several tasks lie beside every weight.
#pragma once

#include <onnxport/families/roberta.hpp>
#include <onnxport/families/rotary_bert.hpp>

namespace jina {

using namespace onnxport::family;

/// A low-rank addition to every weight for each task, of which task_id chooses.
struct Adapters {
  explicit Adapters(const Config& c)
      : tasks(static_cast<int64_t>(c.texts("lora_adaptations").size())),
        rank(c.size("lora_rank", 4)),
        factor(c.real("lora_alpha", 1) / static_cast<double>(rank)) {}
  int64_t tasks, rank;
  double factor;
};

/// The adapters of one run: i64, a scalar each. A task below 0 is none.
struct Task {
  const Adapters& adapters;
  Value index;   ///< at least 0
  Value factor;  ///< f32: of what is added; 0 for no task
};
inline Task task_of(const Adapters& adapters, const Value& id) {
  Graph& g = id.graph();
  const Value is_one = cast(g.op("GreaterOrEqual", {id, g.integer(0)}), DType::f32);
  return {adapters, g.op("Max", {id, g.integer(0)}), is_one * adapters.factor};
}

/// x: f[..., in] -> f[..., out]: weight · x + bias, and the task's B · A · x. Weights: bias,
/// parametrizations.weight.original f[out, in], .0.lora_A f[tasks, rank, in], .0.lora_B f[tasks, out, rank].
inline Value adapted_linear(const Scope& s, const Value& x, int64_t out, const Task& task) {
  const Scope weight = s / "parametrizations.weight", added = weight / 0;
  const int64_t in = x.fixed(-1), tasks = task.adapters.tasks, rank = task.adapters.rank;
  const auto chosen = [&](const char* name, int64_t rows, int64_t columns) {
    return transpose(gather(added.weight(name, {tasks, rows, columns}), task.index), {1, 0});
  };
  const Value y = s.composite("Linear", {x, weight.weight("original", {out, in}), s.weight("bias", {out})});
  const Value narrow = matmul(x.in(s), chosen("lora_A", rank, in)) * task.factor;
  return (y + matmul(narrow, chosen("lora_B", out, rank))).in(s.parent());
}

/// ids: i64[...] -> f[..., width], and the task's A[id] · B. Weights: parametrizations.weight.original
/// f[count, width], .0.lora_A f[tasks, count, rank], .0.lora_B f[tasks, rank, width].
inline Value adapted_embedding(const Scope& s, const Value& ids, const EmbeddingOptions& options, const Task& task) {
  const Scope weight = s / "parametrizations.weight", added = weight / 0;
  const int64_t tasks = task.adapters.tasks, rank = task.adapters.rank;
  const Value table = weight.weight("original", {options.count, options.width});
  const Value a = gather(added.weight("lora_A", {tasks, options.count, rank}), task.index);
  const Value b = gather(added.weight("lora_B", {tasks, rank, options.width}), task.index);
  const Value narrow = gather(a, ids.in(s)) * task.factor;
  return (s.composite("Embedding", {table, ids}) + matmul(narrow, b)).in(s.parent());
}

const RotaryBertNames own_names{};
const RotaryBertNames published_names{.embedding_norm = "emb_ln",
                                      .layers = "encoder.layers",
                                      .attention = "mixer",
                                      .fused = "Wqkv",
                                      .output = "out_proj",
                                      .attention_norm = "norm1",
                                      .feed_forward_norm = "norm2"};

class JinaOnnxConfig final : public TextEncoder {
 public:
  explicit JinaOnnxConfig(const Request& request)
      : TextEncoder(request),
        is_first(request.model_type == "xlm-roberta"),
        adapters(request.config),
        bert(bert_of(request.config, is_first)) {
    if (is_first && request.config.boolean("use_reg_tokens", false)) {
      throw Error(ONNXPORT_UNSUPPORTED,
                  "config field 'use_reg_tokens' is true; tokens beside the text are not supported");
    }
    if (is_adapted() && task() != "default") {
      throw Error(ONNXPORT_UNSUPPORTED,
                  "config field 'lora_adaptations' lists adapters, which the base model alone has; "
                  "supported: the feature 'default', and sentence embeddings");
    }
    request.config.no_effect({"position_embedding_type", "use_flash_attn", "truncate_dim", "matryoshka_dimensions",
                              "task_instructions", "emb_pooler", "load_trained_adapters", "lora_dropout_p",
                              "lora_main_params_trainable", "rotary_emb_base"});
  }

 private:
  static RotaryBert bert_of(const Config& c, bool is_first) {
    const RotaryBertDefaults defaults{.vocab = 250002,
                                      .hidden = 1024,
                                      .layers = 24,
                                      .heads = 16,
                                      .inner = 4096,
                                      .epsilon = 1e-5,
                                      .head_dim = !is_first};
    const double theta = is_first ? c.real("rotary_emb_base", 10000) : c.real("rope_theta", 20000);
    return {c, defaults,
            Rotary(is_first ? c.none() : c, RotaryBert::head_size_of(c, defaults), RotaryFields{.theta = theta})};
  }
  bool is_adapted() const { return is_first && adapters.tasks > 0; }

  TextEncoderTraits traits() const override {
    return {.base = "roberta", .vocab = bert.vocab, .segments = bert.segments, .pooler = !is_adapted()};
  }

  /// task_id: i64, a scalar: which of lora_adaptations; below 0 none of them.
  std::vector<TensorSpec> further_inputs(const std::vector<Dim>&) const override {
    if (!is_adapted()) return {};
    return {{.name = "task_id", .shape = {}, .limit = adapters.tasks}};
  }

  Value encode(const Scope& s, const Text& text) const override {
    if (is_adapted()) return encode_adapted(s, text, task_of(adapters, text.further.at("task_id")));
    const bool is_own = !is_first && (s / "layers.0.self_attn.q_proj").has("weight");
    const RotaryBertNames& names = is_own ? own_names : published_names;
    TransformerLayer layer = bert.layer(names, true);
    layer.feed_forward.up = "fc1";
    layer.feed_forward.down = "fc2";
    layer.feed_forward.bias = true;
    return bert.encode(s / names.layers, bert.embed(s, text, names), text, [layer](int64_t) { return layer; });
  }

  // The same with what the task adds to every weight.
  Value encode_adapted(const Scope& s, const Text& text, const Task& task) const {
    s.graph().unused("*pooler.dense.*");
    const Scope embeddings = s / "embeddings";
    Value x = adapted_embedding(embeddings / "word_embeddings", text.ids, {bert.vocab, bert.hidden}, task);
    if (bert.segments > 0) {
      const EmbeddingOptions kinds{bert.segments, bert.hidden};
      x = x + adapted_embedding(embeddings / "token_type_embeddings", text.segments, kinds, task);
    }
    x = norm(s / published_names.embedding_norm, x, {.epsilon = bert.epsilon});
    const Value positions = unsqueeze(range(size_of(text.ids, 1)), {0}).in(s / "rotary_emb");
    const Angles angles = bert.rotary.angles(positions);
    const TransformerLayer form = bert.layer(published_names, true);
    for (int64_t i = 0; i < bert.layers; ++i) {
      const std::string index = std::to_string(i);
      s.graph().mark("hidden_states." + index, x);
      const Scope layer = s / published_names.layers / i, mixer = layer / "mixer", mlp = layer / "mlp";
      x = residual(layer, x, form.attention_branch, [&](const Value& h) {
        const std::vector<Value> made = split(adapted_linear(mixer / "Wqkv", h, 3 * bert.hidden, task), -1,
                                              {bert.hidden, bert.hidden, bert.hidden});
        const Value mixed = mix(mixer, {made[0], made[1], made[2]}, form.attention,
                                {.mask = text.mask, .angles = angles, .probabilities = "attentions." + index});
        return adapted_linear(mixer / "out_proj", mixed, bert.hidden, task);
      });
      x = residual(layer, x, form.feed_forward_branch, [&](const Value& h) {
        const Value wide = activation(adapted_linear(mlp / "fc1", h, bert.inner, task), bert.activation);
        return adapted_linear(mlp / "fc2", wide, bert.hidden, task);
      });
    }
    return s.graph().mark("hidden_states." + std::to_string(bert.layers), x);
  }

  Value pool(const Scope& s, const Value& hidden) const override { return bert.pool(s / "pooler", hidden); }

  TextHeads text_heads() const override {
    return RobertaHeads{bert.hidden, bert.vocab, bert.epsilon, bert.tied, labels(), bert.tied.unless_saved}.rows();
  }

  const bool is_first;
  const Adapters adapters;
  const RotaryBert bert;
};

}  // namespace jina
