// SPDX-License-Identifier: Apache-2.0
// Runs the built command in a folder of its own and tells what it did.
#pragma once

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

namespace cli {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

struct Outcome {
  int status = 0;        ///< as a shell reports it: 128 + N for signal N
  std::string out, err;  ///< standard output and error
};

/// A temporary folder in which the command runs; gone at the end, with a home folder that is empty.
class Sandbox {
 public:
  Sandbox();
  ~Sandbox();
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  struct Options {
    Words environment{};               ///< "NAME=value", besides a minimal one
    std::function<void()> in_child{};  ///< before the command starts, in its process
    std::function<bool()> when{};      ///< polled while it runs; when true, `signal` is sent
    int signal = 0;
    bool terminal = false;  ///< standard error is a terminal
    fs::path program{};     ///< instead of the one that was built
  };
  Outcome run(const Words& arguments, const Options& options) const;
  Outcome run(const Words& arguments) const { return run(arguments, Options{}); }

  /// A tiny random BERT, made by the command itself. Further fields replace those of its config.
  fs::path checkpoint(const std::string& name = "bert", const std::string& fields = "") const;
  void write(const fs::path& name, const std::string& text) const;
  std::string read(const fs::path& name) const;
  /// A safetensors file of this header and so many bytes of data.
  void write_safetensors(const fs::path& name, const std::string& header, size_t data) const;
  /// All names below the sandbox, hidden ones included, as they were before and are now.
  std::set<std::string> tree() const;

  const fs::path& path() const { return path_; }
  fs::path operator/(const fs::path& name) const { return path_ / name; }

 private:
  fs::path path_;
};

/// The one JSON object that --json prints.
nlohmann::json parsed(const Outcome& outcome);

bool contains(const std::string& text, const std::string& part);

/// Whether libtorch's back end was built; without it nothing can be validated against a definition.
bool has_reference();
/// A precondition: the same.
boost::test_tools::assertion_result reference_built(boost::unit_test::test_unit_id);

/// The config of the tiny BERT.
std::string tiny_config(const std::string& fields = "");

/// Writes a model of a fixture plugin's type to "model": one layer of four by four.
void write_fixture_model(const Sandbox& sandbox, const std::string& type);

/// Folder of a fixture plugin of tests/abi.
fs::path fixture_plugins(const std::string& kind);

/// Runs, and checks status, that all parts are in the message on standard error, that it is an error with a
/// next step, and that nothing was left behind.
void check_failure(const Sandbox& sandbox, const Words& arguments, int status, const Words& parts,
                   const Sandbox::Options& options = {});

}  // namespace cli
