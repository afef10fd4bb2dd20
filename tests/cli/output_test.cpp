// SPDX-License-Identifier: Apache-2.0
// Output that cannot be written (status 5), and work that is interrupted (130): nothing is left behind.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include "command.hpp"

namespace output_test {

using namespace cli;

namespace {

Words to(const std::string& output) {
  return {"export", "-m", "bert", "--no-validate", output};
}

/// About 100 MB, written in a tenth of a second or more.
constexpr const char* big =
    R"({"hidden_size": 512, "num_hidden_layers": 4, "num_attention_heads": 8, "intermediate_size": 2048, "vocab_size": 24000})";

/// Whether a staging folder exists, which says that writing has begun.
bool staging_exists(const Sandbox& sandbox) {
  for (const auto& entry : fs::directory_iterator(sandbox.path())) {
    if (entry.path().filename().string().starts_with(".onnxport-")) return true;
  }
  return false;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(output)

BOOST_AUTO_TEST_CASE(something_in_the_way) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  sandbox.write("file", "x");
  check_failure(sandbox, to("file"), 5, {"is not a folder"});
  check_failure(sandbox, to("file/out"), 5, {"Not a directory"});
  fs::create_directories(sandbox / "out/model.onnx");
  check_failure(sandbox, to("out"), 5, {"Is a directory"});
}

BOOST_AUTO_TEST_CASE(a_folder_that_may_not_be_written) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  fs::create_directory(sandbox / "locked");
  fs::permissions(sandbox / "locked", static_cast<fs::perms>(0555));
  Sandbox::Options options;
  // Root may write everywhere, so the command runs as somebody else.
  if (::geteuid() == 0) {
    options.in_child = [] {
      if (::setgid(65534) != 0 || ::setuid(65534) != 0) ::_exit(126);
    };
    if (sandbox.run({"--version"}, options).status != 0) {
      BOOST_TEST_MESSAGE("the build folder cannot be reached by another user; skipped");
      return;
    }
    // What a plugin may be depends on who runs it; here only the folder counts.
  }
  check_failure(sandbox, to("locked/out"), 5, {"locked", "Permission denied"}, options);
  check_failure(sandbox, to("locked"), 5, {"locked", "Permission denied"}, options);
}

BOOST_AUTO_TEST_CASE(a_write_that_fails_half_way) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  Sandbox::Options options;
  options.in_child = [] {
    const rlimit limit{8192, 8192};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  };
  check_failure(sandbox, to("out"), 5, {"File too large"}, options);
  check_failure(sandbox, to("model.onnx"), 5, {"File too large"}, options);
  fs::create_directory(sandbox / "existing");
  check_failure(sandbox, to("existing"), 5, {"File too large"}, options);
}

BOOST_AUTO_TEST_CASE(a_full_disk) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  // A small file system where the test may mount one; else there is nothing to fill.
  const fs::path disk = sandbox / "disk";
  fs::create_directory(disk);
  const std::string mount = "mount -t tmpfs -o size=128k none '" + disk.string() + "' 2>/dev/null";
  if (::geteuid() != 0 || std::system(mount.c_str()) != 0) {
    BOOST_TEST_MESSAGE("no file system can be mounted here; skipped");
    return;
  }
  sandbox.write("disk/filler", std::string(100 * 1024, 'x'));
  // Too small for what is known beforehand, and for what is not.
  check_failure(sandbox, to("disk/out"), 5, {"space"});
  fs::resize_file(disk / "filler", 72 * 1024);
  const Outcome outcome = sandbox.run(to("disk/out"));
  BOOST_TEST((outcome.status == 5 || outcome.status == 0), outcome.err);
  if (outcome.status == 5) {
    BOOST_TEST(contains(outcome.err, "are needed and"), outcome.err);
    BOOST_TEST(!fs::exists(disk / "out"));
  }
  (void)!std::system(("umount '" + disk.string() + "'").c_str());
}

BOOST_AUTO_TEST_CASE(interrupted_while_writing) {
  const Sandbox sandbox;
  sandbox.checkpoint("bert", big);
  for (const int signal : {SIGINT, SIGTERM}) {
    for (const char* output : {"out", "deep/er/out", "existing"}) {
      fs::create_directory(sandbox / "existing");
      const auto before = sandbox.tree();
      Sandbox::Options options;
      options.signal = signal;
      options.when = [&] {
        if (std::string(output) == "out") return staging_exists(sandbox);
        return std::string(output) == "existing" ? !fs::is_empty(sandbox / "existing") : fs::exists(sandbox / "deep");
      };
      const Outcome outcome = sandbox.run(to(output), options);
      BOOST_TEST(outcome.status == 130, output << ": " << outcome.out << outcome.err);
      BOOST_TEST(contains(outcome.err, "interrupted"));
      const auto after = sandbox.tree();
      for (const std::string& name : after) BOOST_TEST(before.contains(name), name << " was left behind");
    }
  }
}

BOOST_AUTO_TEST_CASE(interrupted_while_validating, *boost::unit_test::precondition(reference_built)) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  Sandbox::Options options;
  options.signal = SIGINT;
  // The companion is copied after the model and before validation.
  options.when = [&] {
    for (const auto& entry : fs::directory_iterator(sandbox.path())) {
      if (entry.path().filename().string().starts_with(".onnxport-") && fs::exists(entry.path() / "config.json"))
        return true;
    }
    return false;
  };
  const auto before = sandbox.tree();
  const Outcome outcome = sandbox.run({"export", "-m", "bert", "out"}, options);
  BOOST_TEST(outcome.status == 130, outcome.out << outcome.err);
  BOOST_TEST((sandbox.tree() == before));
}

BOOST_AUTO_TEST_CASE(a_reader_that_goes_away_leaves_no_staging) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  Sandbox::Options options;
  options.in_child = [] {
    int closed[2];
    if (::pipe(closed) != 0) ::_exit(126);
    ::close(closed[0]);
    ::dup2(closed[1], STDOUT_FILENO);
  };
  const Outcome outcome = sandbox.run(to("out"), options);
  BOOST_TEST(outcome.status == 0);
  BOOST_TEST(outcome.err == "");
  BOOST_TEST(fs::exists(sandbox / "out/model.onnx"));
  BOOST_TEST(!staging_exists(sandbox));
  BOOST_TEST(sandbox.run({"record"}, options).err == "");
}

BOOST_AUTO_TEST_CASE(a_report_that_cannot_be_written_is_an_error_of_the_output) {
  const Sandbox sandbox;
  Sandbox::Options options;
  options.in_child = [] {
    const int full = ::open("/dev/full", O_WRONLY);
    if (full < 0) ::_exit(126);
    ::dup2(full, STDOUT_FILENO);
  };
  for (const Words& words : {Words{"features"}, Words{"features", "--json"}}) {
    const Outcome outcome = sandbox.run(words, options);
    BOOST_TEST(outcome.status == 5);
    BOOST_TEST(contains(outcome.err, "standard output cannot be written: No space left on device"), outcome.err);
  }
}

BOOST_AUTO_TEST_CASE(the_checkpoints_own_folder_stays_as_it_is) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  const std::string config = sandbox.read("bert/config.json"), weights = sandbox.read("bert/model.safetensors");
  BOOST_TEST(sandbox.run(to("bert")).status == 0);
  BOOST_TEST(sandbox.read("bert/config.json") == config);
  BOOST_TEST(sandbox.read("bert/model.safetensors") == weights);
  BOOST_TEST(fs::exists(sandbox / "bert/model.onnx"));
}

BOOST_AUTO_TEST_CASE(a_validated_export_leaves_nothing_in_the_home_folder,
                     *boost::unit_test::precondition(reference_built)) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  const Outcome exported = sandbox.run({"export", "-m", "bert", "--feature", "masked-lm", "out"});
  BOOST_TEST(exported.status == 0, exported.err);
  for (const std::string& name : sandbox.tree()) BOOST_TEST(!name.starts_with("home/."), name);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace output_test
