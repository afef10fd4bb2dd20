// SPDX-License-Identifier: Apache-2.0
// docs/models.md lists what the manifests below plugins/ offer: one row a model type, no more and no fewer.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "registry/manifest.hpp"

namespace fs = std::filesystem;
using namespace onnxport;

BOOST_AUTO_TEST_CASE(the_table_of_models_is_that_of_the_manifests) {
  const fs::path source = ONNXPORT_SOURCE_DIR;
  std::set<std::string> expected;
  for (const fs::directory_entry& folder : fs::directory_iterator(source / "plugins")) {
    if (!fs::exists(folder.path() / "plugin.yaml")) continue;
    const Manifest manifest = read_manifest(folder.path() / "plugin.yaml");
    for (const Manifest::Model& model : manifest.models) {
      for (const std::string& type : model.types) {
        expected.insert(fmt::format("| {} | {} | {} |", type, manifest.name, fmt::join(model.features, ", ")));
      }
    }
  }
  BOOST_TEST(!expected.empty());

  std::ifstream page(source / "docs/models.md");
  BOOST_REQUIRE(page);
  std::set<std::string> rows;
  for (std::string line; std::getline(page, line) && !line.starts_with("## ");) {
    if (line.starts_with("| ") && !line.starts_with("| model type")) rows.insert(line);
  }
  for (const std::string& row : expected) BOOST_TEST(rows.contains(row), "docs/models.md lacks the row\n" << row);
  for (const std::string& row : rows)
    BOOST_TEST(expected.contains(row), "docs/models.md has a row that no manifest offers\n" << row);
}
