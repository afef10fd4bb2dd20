// SPDX-License-Identifier: Apache-2.0
// ColPali and ColQwen2: a vector for every token of a text or of an image of a page, by which pages are found. What
// reads them is a model of its own, of any type; a layer and a norm stand behind it.
// Source: ColPaliForRetrieval and ColQwen2ForRetrieval, transformers 4.57 and 5.24.
#include <onnxport/packed_vision_language.hpp>
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

namespace {

/// The model that reads texts and images, without its head, and the layer behind it.
class LateInteraction : public OnnxConfig {
 public:
  double atol_for_validation() const override { return 1e-4; }
  int64_t max_positions() const override { return described_.integer("max_positions", 0); }
  std::vector<AxisSize> axis_sizes() const override { return described_.axes; }
  std::vector<TensorSpec> inputs() const override { return taken(described_.inputs); }
  std::vector<OutputSpec> outputs() const override { return {{"embeddings", {{0, axis::batch}, {1, axis::sequence}}}}; }
  Outputs forward(Graph& g, const Inputs& in) const override {
    return embed(g, run(g, "", described_.outputs, given(in)), in);
  }

  /// The reader's own, of which the last one gets the layer.
  std::vector<Part> parts() const override {
    std::vector<Part> parts;
    for (const std::string name : {"vision_encoder", "embed_tokens"}) {
      const ComponentPart part = reader_.part(name);
      const auto runs = [this, name, specs = part.outputs](Graph& g, const Inputs& in) {
        const std::map<std::string, Value> made = run(g, name, specs, given(in));
        return Outputs(made.begin(), made.end());
      };
      parts.push_back({name, taken(part.inputs), part.outputs, runs});
    }
    const ComponentPart decoder = reader_.part("decoder");
    const auto decodes = [this, specs = decoder.outputs](Graph& g, const Inputs& in) {
      return embed(g, run(g, "decoder", specs, in), in);
    };
    parts.push_back({"decoder", decoder.inputs, outputs(), decodes});
    return parts;
  }

 protected:
  LateInteraction(const Request& request, const ComponentKind& reader)
      : OnnxConfig(request),
        reader_(request.config.section("vlm_config"), reader),
        described_(reader_.part()),
        width_(request.config.size("embedding_dim", 128)) {
    // A text_config beside vlm_config is a copy of the one within, which no version reads when a model is made.
    request.config.no_effect({"text_config", "vocab_size", "tie_word_embeddings"});
  }

  /// What is given of what the reader takes, and how the reader is given it.
  virtual std::vector<TensorSpec> taken(std::vector<TensorSpec> specs) const { return specs; }
  virtual Inputs given(const Inputs& in) const { return in; }

  /// Ids of texts are below this.
  int64_t vocab() const { return described_.input("input_ids")->limit; }

 private:
  /// A part of the reader, "" being the whole.
  std::map<std::string, Value> run(Graph& g, const std::string& part, const std::vector<OutputSpec>& specs,
                                   const Inputs& in) const {
    ComponentCall call{part, "vlm", "", {{"", "vlm."}, {"", "vlm.model."}}, {}};
    for (const OutputSpec& spec : specs) call.outputs.push_back(spec.name);
    return reader_(g, call, in);
  }

  /// Vectors of length 1, and of zeros where a text is padded: f[batch, sequence, n] -> f[batch, sequence, width].
  Outputs embed(Graph& g, const std::map<std::string, Value>& read, const Inputs& in) const {
    g.unused("vlm.lm_head.*");  // saved by transformers 4, whose reader has a head that nobody asks
    g.unused("vlm.language_model.lm_head.*");
    const Value x = linear(g.root() / "embedding_proj_layer", read.at("last_hidden_state"), {.out = width_});
    const Value length = g.op("ReduceL2", {x}, {{"axes", {-1}}, {"keepdims", true}});
    return {{"embeddings", x / length * unsqueeze(cast(in.at("attention_mask"), x.dtype()), {2})}};
  }

  const Component reader_;
  const ComponentPart described_;
  const int64_t width_;
};

/// The type of the reader, where its config states none.
std::string type_of(const Config& reader, const char* otherwise) {
  return reader.has("model_type") ? "" : otherwise;
}

/// Images of one size; all of a text is a prefix, whose tokens see each other.
class ColPali final : public LateInteraction {
 public:
  explicit ColPali(const Request& request) : ColPali(request, request.config.section("vlm_config")) {}

  std::vector<DummyTensor> generate_dummy_inputs(const DummyRequest& request) const override {
    if (!request.part.empty()) return {};
    const auto images = request.sizes.find("images");
    const int64_t count = images == request.sizes.end() ? 1 : images->second;
    return {texts_with_images(request, {count * side_ * side_, image_token_, vocab()})};
  }

 private:
  ColPali(const Request& request, const Config& reader)
      : LateInteraction(
            request,
            {.feature = "default", .model_type = type_of(reader, "paligemma"), .options = {{"attention", "full"}}}),
        image_token_(reader.with_names(image_token_names).count("image_token_index", 256000)),
        side_(reader.section("vision_config").size("image_size", 224) /
              reader.section("vision_config").size("patch_size", 14)) {}

  const int64_t image_token_, side_;  // of an image, in patches
};

/// Images of any size, as their processor gives them: the patches of each in a row of its own, padded behind its end.
class ColQwen2 final : public LateInteraction {
 public:
  explicit ColQwen2(const Request& request) : ColQwen2(request, request.config.section("vlm_config")) {}

  /// Each of one frame, the first as wide as there is room for.
  std::vector<DummyTensor> generate_dummy_inputs(const DummyRequest& request) const override {
    if (!request.part.empty() && request.part != "vision_encoder") return {};
    const int64_t images = request.sizes.at("images"), tokens = request.sizes.at("patches") / (merge_ * merge_);
    std::vector<int64_t> grid;
    int64_t vectors = 0;
    for (int64_t i = 0; i < images; ++i) {
      const int64_t wide = std::max<int64_t>(1, request.varied ? tokens - i : tokens);
      grid.insert(grid.end(), {1, merge_, merge_ * wide});
      vectors += wide;
    }
    std::vector<DummyTensor> made{DummyTensor::of("image_grid_thw", DType::i64, {images, 3}, grid)};
    if (request.part.empty()) made.push_back(texts_with_images(request, {vectors, image_token_, vocab()}));
    return made;
  }

 private:
  ColQwen2(const Request& request, const Config& reader)
      : LateInteraction(request, {.feature = "default", .model_type = type_of(reader, "qwen2_vl")}),
        image_token_(reader.count("image_token_id", 151655)),
        merge_(reader.section("vision_config").size("spatial_merge_size", 2)) {}

  std::vector<TensorSpec> taken(std::vector<TensorSpec> specs) const override {
    for (TensorSpec& spec : specs) {
      if (spec.name == "pixel_values") spec.shape.insert(spec.shape.begin(), "images");
    }
    return specs;
  }

  /// Without the padding: f[images, patches, n] -> f[all patches, n].
  Inputs given(const Inputs& in) const override {
    const Value pixels = in.maybe("pixel_values");
    if (!pixels) return in;
    Graph& g = pixels.graph();
    const Value grid = in.at("image_grid_thw"), length = pick(grid, 1, 1) * pick(grid, 1, 2);
    const Value counts = g.op("Less", {unsqueeze(range(size_of(pixels, 1)), {0}), unsqueeze(length, {1})});
    const Value places = reshape(g.op("NonZero", {reshape(counts, {-1})}), {-1});
    Inputs packed = in;
    packed["pixel_values"] = gather(reshape(pixels, {-1, pixels.fixed(2)}), places);
    return packed;
  }

  const int64_t image_token_, merge_;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.colpali",
    .name = "ColPali and ColQwen2",
    .models = {{.types = {"colpali"},
                .features = {"default"},
                .architectures = {{"ColPaliForRetrieval", "default"}},
                .make = make<ColPali>},
               {.types = {"colqwen2"},
                .features = {"default"},
                .architectures = {{"ColQwen2ForRetrieval", "default"}},
                .make = make<ColQwen2>}},
    .abi_minor_needed = 4,
})
