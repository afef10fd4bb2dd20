// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <set>

#include "core/error.hpp"
#include "core/format_bytes.hpp"
#include "core/output/companions.hpp"
#include "core/output/staging.hpp"
#include "tests/support/temporary_folder.hpp"

namespace onnxport::staging_test {
namespace {

namespace fs = std::filesystem;

struct Fixture {
  static void write(const fs::path& path, const std::string& text) {
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  static std::string read(const fs::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  /// Everything below the root, hidden files included.
  std::set<std::string> tree() const {
    std::set<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(root))
      names.insert(entry.path().lexically_relative(root).string());
    return names;
  }
  test::TemporaryFolder root;
};

bool says(const Error& error, const std::string& text) {
  return error.failure() == Failure::output && std::string(error.what()).find(text) != std::string::npos;
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(staging, Fixture)

BOOST_AUTO_TEST_CASE(a_new_folder_appears_at_once) {
  {
    StagedOutput output(root / "a/b/out/");
    write(output.folder() / "model.onnx", "model");
    write(output.folder() / "1_Pooling/config.json", "{}");
    BOOST_TEST(!fs::exists(root / "a/b/out"));
    BOOST_TEST(output.is_folder());
    output.commit();
  }
  BOOST_TEST((tree() == std::set<std::string>{"a", "a/b", "a/b/out", "a/b/out/1_Pooling",
                                              "a/b/out/1_Pooling/config.json", "a/b/out/model.onnx"}));
}

BOOST_AUTO_TEST_CASE(nothing_remains_without_commit) {
  {
    StagedOutput output(root / "a/b/out");
    write(output.folder() / "model.onnx", "model");
  }
  BOOST_TEST(tree().empty());
}

BOOST_AUTO_TEST_CASE(an_existing_folder_keeps_its_other_files) {
  write(root / "out/model.onnx", "old");
  write(root / "out/notes.txt", "mine");
  {
    StagedOutput output(root / "out");
    write(output.folder() / "model.onnx", "half");
  }
  BOOST_TEST(read(root / "out/model.onnx") == "old");
  {
    StagedOutput output(root / "out");
    write(output.folder() / "model.onnx", "new");
    write(output.folder() / "1_Pooling/config.json", "{}");
    output.commit();
  }
  BOOST_TEST(read(root / "out/model.onnx") == "new");
  BOOST_TEST((tree() == std::set<std::string>{"out", "out/1_Pooling", "out/1_Pooling/config.json", "out/model.onnx",
                                              "out/notes.txt"}));
}

BOOST_AUTO_TEST_CASE(a_folder_that_appears_meanwhile_is_filled) {
  StagedOutput output(root / "out");
  write(output.folder() / "model.onnx", "new");
  write(root / "out/notes.txt", "mine");
  output.commit();
  BOOST_TEST(read(root / "out/model.onnx") == "new");
  BOOST_TEST(read(root / "out/notes.txt") == "mine");
}

BOOST_AUTO_TEST_CASE(a_file_name_is_a_model) {
  {
    StagedOutput output(root / "deep/encoder.onnx");
    BOOST_TEST(output.model_file() == "encoder.onnx");
    BOOST_TEST(!output.is_folder());
    write(output.folder() / output.model_file(), "model");
    output.commit();
  }
  BOOST_TEST((tree() == std::set<std::string>{"deep", "deep/encoder.onnx"}));
}

BOOST_AUTO_TEST_CASE(things_in_the_way_are_named) {
  write(root / "file", "x");
  fs::create_directories(root / "out/model.onnx/deep");
  BOOST_CHECK_EXCEPTION(StagedOutput(root / "file"), Error, [](const Error& e) { return says(e, "is not a folder"); });
  BOOST_CHECK_EXCEPTION(StagedOutput(root / "file/out"), Error,
                        [](const Error& e) { return says(e, "Not a directory"); });
  StagedOutput output(root / "out");
  write(output.folder() / "model.onnx", "new");
  write(output.folder() / "config.json", "{}");
  BOOST_CHECK_EXCEPTION(output.commit(), Error, [](const Error& e) { return says(e, "Is a directory"); });
  BOOST_TEST(!fs::exists(root / "out/config.json"));
}

BOOST_AUTO_TEST_CASE(too_little_space_has_figures) {
  const StagedOutput output(root / "out");
  BOOST_CHECK_NO_THROW(output.require_space(1));
  BOOST_CHECK_EXCEPTION(output.require_space(uint64_t{1} << 62), Error,
                        [](const Error& e) { return says(e, "are needed and") && says(e, "are free"); });
}

BOOST_AUTO_TEST_CASE(what_a_killed_process_left_is_removed) {
  int ready[2];
  BOOST_REQUIRE(::pipe(ready) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    StagedOutput output(root / "out");
    write(output.folder() / "model.onnx", "half");
    (void)!::write(ready[1], "x", 1);
    ::pause();
    ::_exit(0);
  }
  char byte;
  BOOST_REQUIRE(::read(ready[0], &byte, 1) == 1);
  { const StagedOutput other(root / "other"); }
  BOOST_TEST(tree().size() == 2u);  // that of a living process stays
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  { const StagedOutput other(root / "other"); }
  BOOST_TEST(tree().empty());
}

BOOST_AUTO_TEST_CASE(companions_are_copied_and_weights_are_not) {
  for (const char* name : {"config.json", "tokenizer.json", "spiece.model", "chat_template.jinja", "modules.json",
                           "1_Pooling/config.json", "model.safetensors", "pytorch_model.bin", "README.md",
                           "training_args.bin", "onnx/model.onnx", "_x/config.json"}) {
    write(root / "from" / name, name);
  }
  fs::permissions(root / "from/config.json", fs::perms::owner_read);
  const std::vector<fs::path> copied = copy_companions(root / "from", root / "to");
  const std::vector<fs::path> expected{"1_Pooling/config.json", "chat_template.jinja", "config.json",
                                       "modules.json",          "spiece.model",        "tokenizer.json"};
  BOOST_TEST((copied == expected));
  for (const fs::path& name : copied) BOOST_TEST(read(root / "to" / name) == name.string());
  BOOST_TEST(((fs::status(root / "to/config.json").permissions() & fs::perms::owner_write) != fs::perms::none));
}

BOOST_AUTO_TEST_CASE(sizes_read_well) {
  BOOST_TEST(format_bytes(999) == "999 bytes");
  BOOST_TEST(format_bytes(90868376) == "90.9 MB");
  BOOST_TEST(format_bytes(999'950) == "1.0 MB");
  BOOST_TEST(format_bytes(2'200'000'000) == "2.2 GB");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace onnxport::staging_test
