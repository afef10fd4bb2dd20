// SPDX-License-Identifier: Apache-2.0
// What no plugin may give (absurd.c, a type each): refused where it is read, by the plugin's name, whatever would come
// of it further on.
#include <boost/test/unit_test.hpp>
#include <filesystem>

#include "core/definition/onnx_config.hpp"
#include "core/error.hpp"
#include "core/export/defined_graphs.hpp"
#include "core/export/export.hpp"
#include "registry/features_manager.hpp"
#include "registry/registry.hpp"
#include "tests/support/plugins_in.hpp"

namespace given_test {

using namespace onnxport;

namespace {

struct Gift {
  const char *type, *told;
};
constexpr Gift gifts[] = {
    {"status-null",
     "failed for model type 'status-null' at 'here': plugin org.onnxport.test.absurd failed and does not say why"},
    {"axis-length", "found 2305843009213693951 as the length of an axis, expected at most 67108864"},
    {"layers", "'num_layers' is -1, expected 0 or more"},
    {"positions", "'max_positions' is -9223372036854775808, expected 0 or more"},
    {"opset", "'min_opset' is 9223372036854775807, expected 1 to 1000"},
    {"tolerance", "'atol_for_validation' is 1e+30, expected at most 0.1"},
    {"part-path", "a part is called '../../etc', expected letters, digits, '_' and '-'"},
    {"many-parts", "found 32768 parts, expected at most 100"},
    {"text-null", "a null pointer was given where there are bytes in a text"},
    {"override", "the value of 'size' is told as {{{, expected JSON"},
    {"role-null", "a null pointer was given as an input's role"},
    {"lowers-to-nothing",
     "lowers Relu for model type 'lowers-to-nothing' to the value 4000000000, which does not exist"},
    {"name-null", "a null pointer was given where there are bytes in a name"},
    {"name-empty", "found an empty name"},
    {"name-binary", "holds control characters or is not UTF-8"},
    {"name-long", "found 65536 bytes in a name, expected at most 4096"},
    {"type-null", "a null pointer was given as a type"},
    {"type-axes", "found 4000000000 axes, expected at most 64"},
    {"type-vast", "there is no tensor of the shape [9223372036854775807, 9223372036854775807]"},
    {"type-nowhere", "a null pointer was given where there are axes"},
    {"type-small", "a type has struct_size 0, expected at least 24"},
    {"many-inputs", "found 10001 inputs of a part, expected at most 10000"},
    {"weight-null", "a null pointer was given where there are bytes in a name"},
    {"weight-binary", "holds control characters or is not UTF-8"},
    {"weight-long", "found 65536 bytes in a name"},
    {"weight-axes", "found 4000000000 axes"},
    {"weight-nowhere", "a null pointer was given where there are axes"},
    {"weight-negative", "there is no tensor of the shape [-1, 4]"},
    {"constant-null", "a null pointer was given where there are bytes in a constant"},
    {"constant-negative", "there is no tensor of the shape [-1, 4]"},
    {"constant-vast", "there is no tensor of the shape [4294967296, 4294967296]"},
    {"node-null", "a null pointer was given as a node"},
    {"node-outputs-null", "a null pointer was given where there are inputs or outputs of an operator"},
    {"node-small", "a node has struct_size 0, expected at least 96"},
    {"node-inputs-null", "a null pointer was given where there are inputs or outputs of an operator"},
    {"node-inputs", "found 18446744073709551615 inputs or outputs of an operator, expected at most 100000"},
    {"node-outputs", "found 18446744073709551615 inputs or outputs of an operator"},
    {"node-no-outputs", "Relu was asked for no value, expected one or more"},
    {"node-attributes-null", "a null pointer was given where there are attributes of an operator"},
    {"node-numbers-null", "a null pointer was given where there are numbers in an attribute"},
    {"node-op-null", "a null pointer was given where there are bytes in a name"},
    {"node-scope-binary", "holds control characters or is not UTF-8"},
    {"node-scope-long", "found 65536 bytes in a name"}};

/// All that an export asks of the plugin, up to the graph that would be written.
void define(const Registry& registry, const std::string& type) {
  const FeaturesManager features(registry);
  const PluginTable table = features.table_of(registry.find(type));
  const OnnxConfig config =
      OnnxConfig::from_model_config(table, Json{{"model_type", type}, {"size", 4}}, type, "default");
  WeightSource weights;
  const DefinedGraphs defined = define_graphs(config, weights, {{"model.onnx", {""}}});
  lowered_graph(config, defined.definitions[0], defined.definitions[0].graph, {});
}

}  // namespace

BOOST_AUTO_TEST_SUITE(given)

BOOST_AUTO_TEST_CASE(what_no_plugin_may_give_is_refused_by_name) {
  const Registry registry = test::plugins_in({std::filesystem::path(ONNXPORT_TEST_BINARY_DIR) / "abi/plugins-absurd"});
  for (const auto& [type, told] : gifts) {
    BOOST_TEST_CONTEXT(type) {
      try {
        define(registry, type);
        BOOST_ERROR("nothing was thrown");
      } catch (const Error& error) {
        const std::string text = error.what();
        BOOST_TEST((error.failure() == Failure::plugin), text);
        BOOST_TEST(text.find("plugin org.onnxport.test.absurd") != std::string::npos, text);
        BOOST_TEST(text.find(told) != std::string::npos, text);
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace given_test
