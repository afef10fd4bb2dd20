// SPDX-License-Identifier: Apache-2.0
#include "registry/known_texts.hpp"

#include <stdlib.h>
#include <sys/stat.h>

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <iterator>

#include "core/error.hpp"
#include "tests/support/temporary_folder.hpp"

namespace known_texts_test {

namespace {

namespace fs = std::filesystem;
using onnxport::Error;
using onnxport::KnownTexts;
using onnxport::yaml::Node;

const std::string text = "id: a.b\nlist: [x, \"7\", ~]\nmap: {k: v}\n";

bool same(const Node& a, const Node& b) {
  return a.kind == b.kind && a.line == b.line && a.text == b.text && a.quoted == b.quoted &&
         std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(), same);
}

using Scratch = onnxport::test::TemporaryFolder;

std::string bytes_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// A file that knows the text.
void leave(const fs::path& file) {
  KnownTexts first(file);
  first.read(text, "plugin.yaml");
  first.save();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(known_texts)

BOOST_AUTO_TEST_CASE(what_a_text_holds_is_what_the_parser_says) {
  const Scratch scratch;
  const fs::path file = scratch.path / "cache/manifests";
  const Node parsed = onnxport::yaml::parse(text, "plugin.yaml");
  {
    KnownTexts first(file);
    BOOST_TEST(same(first.read(text, "plugin.yaml"), parsed));
    first.save();
  }
  const std::string left = bytes_of(file);
  BOOST_REQUIRE(!left.empty());
  KnownTexts second(file);
  BOOST_TEST(same(second.read(text, "plugin.yaml"), parsed));
  // Nothing new was read, so that nothing is written.
  fs::remove(file);
  second.save();
  BOOST_TEST(!fs::exists(file));
  // Another byte is another text, and what is wrong stays wrong.
  BOOST_TEST(second.read("id: c.d\n", "plugin.yaml").items.at(1).text == "c.d");
  BOOST_CHECK_THROW(second.read("id: [a", "plugin.yaml"), Error);
  BOOST_CHECK_THROW(second.read("id: [a", "plugin.yaml"), Error);
  second.save();
  BOOST_TEST(bytes_of(file).size() > left.size());
}

BOOST_AUTO_TEST_CASE(what_a_damaged_file_says_is_not_heard) {
  const Scratch scratch;
  const fs::path file = scratch.path / "manifests";
  leave(file);
  const std::string whole = bytes_of(file);
  for (size_t length = 0; length < whole.size(); length += 7) {
    std::ofstream(file, std::ios::binary) << whole.substr(0, length);
    BOOST_TEST(KnownTexts(file).read(text, "plugin.yaml").items.size() == 6u);
  }
  for (size_t at = 0; at < whole.size(); at += 5) {
    std::string other = whole;
    other[at] = static_cast<char>(other[at] ^ 0x41);
    std::ofstream(file, std::ios::binary) << other;
    BOOST_CHECK_NO_THROW(KnownTexts(file).read(text, "plugin.yaml"));
  }
}

BOOST_AUTO_TEST_CASE(what_others_may_write_is_not_heard) {
  const Scratch scratch;
  const fs::path file = scratch.path / "manifests";
  leave(file);
  // The same text that says otherwise: the file as its user may have it is believed, as one of all is not.
  std::string other = bytes_of(file);
  other.replace(other.rfind("a.b"), 3, "x.y");
  std::ofstream(file, std::ios::binary) << other;
  BOOST_TEST(KnownTexts(file).read(text, "plugin.yaml").items.at(1).text == "x.y");
  BOOST_REQUIRE(::chmod(file.c_str(), 0666) == 0);
  BOOST_TEST(KnownTexts(file).read(text, "plugin.yaml").items.at(1).text == "a.b");
}

BOOST_AUTO_TEST_CASE(without_a_file_nothing_is_kept) {
  KnownTexts none;
  BOOST_TEST(none.read(text, "plugin.yaml").items.size() == 6u);
  BOOST_CHECK_NO_THROW(none.save());
  KnownTexts nowhere("/proc/nowhere/manifests");
  BOOST_TEST(nowhere.read(text, "plugin.yaml").items.size() == 6u);
  BOOST_CHECK_NO_THROW(nowhere.save());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace known_texts_test
