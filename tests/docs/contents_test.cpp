// SPDX-License-Identifier: Apache-2.0
// Every page of docs/ is found: in the contents by reader, and in the site.
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace contents_test {

namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& path) {
  std::ifstream in(path);
  BOOST_REQUIRE_MESSAGE(in, path.string() << " cannot be read");
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(contents)

BOOST_AUTO_TEST_CASE(every_page_is_listed) {
  const fs::path docs = fs::path(ONNXPORT_SOURCE_DIR) / "docs";
  const std::string index = read(docs / "index.md"), site = read(docs / "site/mkdocs.yml");
  for (const auto& entry : fs::directory_iterator(docs)) {
    const std::string page = entry.path().filename().string();
    if (entry.path().extension() != ".md" || page == "index.md") continue;
    BOOST_TEST(index.find("](" + page + ")") != std::string::npos, page << " is not in docs/index.md");
    BOOST_TEST(site.find("docs/" + page) != std::string::npos, page << " is not in the nav of docs/site/mkdocs.yml");
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace contents_test
