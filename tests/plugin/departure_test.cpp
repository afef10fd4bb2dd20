// SPDX-License-Identifier: Apache-2.0
// A damaged weight is found, and the module that it belongs to is named.
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

#include "core/export/export.hpp"
#include "core/validate/validate.hpp"
#include "tests/plugin/fixture.hpp"
#include "tests/support/skips.hpp"
#include "tests/support/temporary_folder.hpp"

namespace departure_test {

namespace {

namespace fs = std::filesystem;
using namespace onnxport;
using namespace onnxport::test;

/// Overwrites 200 bytes behind the last place where the file has the text: the weight's data follows its name.
void damage_weight(const fs::path& file, const std::string& name) {
  std::ifstream in(file, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(in)), {});
  const size_t at = bytes.rfind(name);
  BOOST_REQUIRE(at != std::string::npos);
  for (size_t i = 0; i < 200; i += 4) bytes.replace(at + name.size() + 40 + i, 4, std::string("\0\0\x80\x3f", 4));
  std::ofstream(file, std::ios::binary) << bytes;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(departure)

BOOST_AUTO_TEST_CASE(the_first_departing_module_is_named, *boost::unit_test::precondition(reference_built)) {
  const Checkpoint checkpoint = Checkpoint::open(recorded("bert", "bert/BertModel"));
  const OnnxConfig config = config_of({checkpoint.config(), checkpoint.folder()}, "bert", "default");
  WeightSource weights(checkpoint);
  const Definition definition = config.define(weights);

  const TemporaryFolder scratch;
  const fs::path& folder = scratch.path;
  const ExportResult result = export_onnx(config, definition, folder, {.opset = 18});
  const fs::path file = result.files[0].path;
  const Tensors inputs = config.generate_dummy_inputs(nullptr, {.varied = true});
  const auto unharmed = first_departure(config, definition, {file, {.opset = 18}}, inputs, {.absolute = 1e-4});
  BOOST_TEST(unharmed.value_or("") == "");

  damage_weight(file, "encoder.layer.1.output.dense.weight");
  const auto place = first_departure(config, definition, {file, {.opset = 18}}, inputs, {.absolute = 1e-4});
  BOOST_REQUIRE(place.has_value());
  BOOST_TEST(place->starts_with("encoder.layer.1.output.dense (Linear)"));
  const auto reference = load_backend("reference").load_graph(definition.graph);
  const auto damaged = load_backend("onnxruntime").load_file(file.string());
  BOOST_TEST(!validate_model_outputs(reference.get(), *damaged, {{"varied", inputs, std::nullopt}}, {.absolute = 1e-4})
                  .passes());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace departure_test
