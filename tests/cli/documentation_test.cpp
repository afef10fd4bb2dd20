// SPDX-License-Identifier: Apache-2.0
// Every command of docs/command-line.md runs as it stands there.
#include <boost/test/unit_test.hpp>
#include <fstream>
#include <sstream>

#include "command.hpp"

namespace documentation_test {

using namespace cli;

BOOST_AUTO_TEST_CASE(the_page_on_the_command_line, *boost::unit_test::precondition(reference_built)) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  sandbox.checkpoint("reranker",
                     R"({"architectures": ["BertForSequenceClassification"], "id2label": {"0": "LABEL_0"}})");
  fs::copy(fs::path(ONNXPORT_TEST_SOURCE_DIR) / "fixtures/torchscript/import/encoder.pt", sandbox / "encoder.pt");
  std::ifstream page(fs::path(ONNXPORT_TEST_SOURCE_DIR) / "../docs/command-line.md");
  BOOST_REQUIRE(page);
  bool inside = false;
  size_t count = 0;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("```")) inside = line == "```sh";
    if (!inside || !line.starts_with("onnxport ")) continue;
    std::istringstream words(line.substr(9));
    Words arguments;
    for (std::string word; words >> word;) arguments.push_back(word);
    const Outcome outcome = sandbox.run(arguments);
    BOOST_TEST(outcome.status == 0, line << "\n" << outcome.err);
    ++count;
  }
  BOOST_TEST(count >= 10u);
}

}  // namespace documentation_test
