// SPDX-License-Identifier: Apache-2.0
// A cache of one narrow vector for each token, of which all heads' keys and values are made: DeepSeek-V2's, with the
// products by kv_b_proj left out. A decoder states it by its list of states alone.
#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary.hpp>

#include <boost/test/unit_test.hpp>

#include "core/definition/host_tables.hpp"
#include "core/definition/onnx_config.hpp"
#include "tests/support/both_back_ends.hpp"

namespace latent_cache_test {

using namespace onnxport;
namespace utf = boost::unit_test;

namespace {

constexpr int64_t vocab = 11, rank = 4, rope = 2, queries_each = 3;

/// One layer: keys are the latents, of which the last two numbers are turned; values are what is before these.
class LatentDecoder : public sdk::OnnxConfigWithPast {
 public:
  explicit LatentDecoder(const sdk::Request& request) : OnnxConfigWithPast(request), rotary_(request.config, rope) {}

  int64_t num_layers() const override { return 1; }
  int64_t num_attention_heads() const override { return queries_each; }
  int64_t head_size() const override { return rank + rope; }
  std::vector<sdk::State> states() const override {
    return {sdk::cached("0.latent", {sdk::axis::batch, sdk::axis::past, rank + rope}, 1, sdk::axis::past_and_sequence)};
  }
  std::vector<sdk::TensorSpec> inputs() const override { return text_inputs(vocab, 0); }

  sdk::Outputs forward(sdk::Graph& g, const sdk::Inputs& in) const override {
    sdk::Cache cache = cache_of(in);
    const sdk::Value x = sdk::gather(table(g), in.at("input_ids"));
    const sdk::Angles angles = rotary_.angles(position_ids(in));
    const auto turned = [&](const sdk::Value& of_heads) {
      const auto [nope, turns] = sdk::split_at(of_heads, rank);
      return sdk::concat({nope, sdk::rotate(turns, angles)}, -1);
    };
    const sdk::Value fresh = sdk::squeeze(turned(sdk::unsqueeze(x, {1})), {1});
    const sdk::Value latents = sdk::unsqueeze(cache.append("0.latent", fresh), {1});  // f[batch, 1, total, rank + rope]
    const sdk::Value queries = sdk::expand(sdk::unsqueeze(x, {1}), {1, queries_each, 1, 1});
    const sdk::Value mixed =
        sdk::mix(g.root(), {turned(queries), latents, sdk::split_at(latents, rank).first},
                 {.heads = queries_each, .kv_heads = 1, .head_size = head_size(), .value_size = rank, .causal = true},
                 {.mask = in.at("attention_mask")});
    return with_present({{"last_hidden_state", mixed}}, cache);
  }

 private:
  static sdk::Value table(sdk::Graph& g) {
    std::vector<float> values;
    for (int64_t i = 0; i < vocab * (rank + rope); ++i) values.push_back(std::sin(static_cast<float>(3 * i)));
    return g.constant<float>(sdk::DType::f32, {vocab, rank + rope}, values);
  }

  sdk::Rotary rotary_;
};

struct Fixture {
  Json json = Json::object();
  onnxport_config root;
  Fixture() { root.json = &json; }

  LatentDecoder decoder(const std::string& feature) const {
    const sdk::Config config(&plugin_host(), &root);
    return LatentDecoder({config, "latent", feature, config.none()});
  }

  ir::Graph graph(const std::string& feature) const {
    const LatentDecoder model = decoder(feature);
    ir::Graph graph;
    onnxport_graph handle;
    handle.graph = &graph;
    sdk::Graph g(&plugin_host(), &handle);
    sdk::Inputs in;
    for (const sdk::TensorSpec& spec : model.inputs()) {
      ir::Shape shape;
      for (const sdk::Dim& dim : spec.shape)
        shape.push_back(dim.is_static() ? ir::Dim(dim.size) : ir::Dim::parse(dim.symbol));
      graph.add_input(spec.name, {static_cast<ir::DType>(spec.dtype), shape});
      in.emplace(spec.name, g.input(spec.name));
    }
    for (const auto& [name, value] : model.forward(g, in)) g.output(name, value);
    return graph;
  }
};

ir::Tensor rows_of(const ir::Tensor& x, int64_t begin, int64_t end) {
  const int64_t width = x.shape[2];
  const auto all = x.as<float>();
  return ir::Tensor::of<float>(ir::DType::f32, {1, end - begin, width},
                               std::vector<float>(all.begin() + begin * width, all.begin() + end * width));
}
ir::Tensor text(const std::vector<int64_t>& ids) {
  return ir::Tensor::of<int64_t>(ir::DType::i64, {1, static_cast<int64_t>(ids.size())}, ids);
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(latent_cache, Fixture)

BOOST_AUTO_TEST_CASE(a_list_of_states_is_all_that_a_decoder_states) {
  const LatentDecoder model = decoder("default-with-past");
  BOOST_REQUIRE(model.inputs().size() == 3u);
  BOOST_TEST(model.inputs()[1].name == "past_key_values.0.latent");
  BOOST_TEST((model.inputs()[1].role == sdk::Role::state));
  BOOST_REQUIRE(model.outputs().size() == 2u);
  BOOST_TEST(model.outputs()[1].name == "present.0.latent");
  BOOST_TEST(model.outputs()[1].axes.at(1) == "past_sequence + sequence");
  BOOST_TEST(decoder("default").inputs().size() == 2u);
}

BOOST_AUTO_TEST_CASE(steps_yield_what_the_whole_text_yields, *utf::precondition(test::both_built)) {
  const std::vector<int64_t> ids{3, 7, 1, 10, 4}, counted{1, 0, 1, 1, 1};
  const auto prefix = [](const std::vector<int64_t>& all) { return std::vector(all.begin(), all.begin() + 3); };
  const Tensors whole =
      test::by_reference(graph("default"), {{"input_ids", text(ids)}, {"attention_mask", text(counted)}});

  const ir::Graph with_past = graph("default-with-past");
  const ir::Tensor nothing = ir::Tensor::of<float>(ir::DType::f32, {1, 0, rank + rope}, std::vector<float>{});
  const Tensors first = test::same_at_every_opset(with_past, {{"input_ids", text(prefix(ids))},
                                                              {"attention_mask", text(prefix(counted))},
                                                              {"past_key_values.0.latent", nothing}});
  const Tensors second =
      test::same_at_every_opset(with_past, {{"input_ids", text({ids[3], ids[4]})},
                                            {"attention_mask", text(counted)},
                                            {"past_key_values.0.latent", first.at("present.0.latent")}});
  BOOST_TEST(second.at("present.0.latent").shape == (std::vector<int64_t>{1, 5, rank + rope}),
             boost::test_tools::per_element());
  const ir::Tensor& expected = whole.at("last_hidden_state");
  test::check_equal({{"x", first.at("last_hidden_state")}}, {{"x", rows_of(expected, 0, 3)}}, 1e-6, "first step");
  test::check_equal({{"x", second.at("last_hidden_state")}}, {{"x", rows_of(expected, 3, 5)}}, 1e-6, "second step");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace latent_cache_test
