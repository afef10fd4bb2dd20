// SPDX-License-Identifier: Apache-2.0
#include "command.hpp"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "tests/support/skips.hpp"

namespace cli {
namespace {

/// Takes what there is to read; false at the end.
bool drain(int descriptor, std::string& text) {
  char buffer[4096];
  const ssize_t count = ::read(descriptor, buffer, sizeof buffer);
  if (count <= 0) return false;
  text.append(buffer, static_cast<size_t>(count));
  return true;
}

std::vector<char*> pointers(Words& words) {
  std::vector<char*> list;
  for (std::string& word : words) list.push_back(word.data());
  list.push_back(nullptr);
  return list;
}

}  // namespace

Sandbox::Sandbox() {
  std::string pattern = (fs::temp_directory_path() / "onnxport-cli-XXXXXX").string();
  BOOST_REQUIRE(::mkdtemp(pattern.data()) != nullptr);
  path_ = pattern;
  // Another user has to get in, for tests of permissions.
  fs::permissions(path_, static_cast<fs::perms>(0755));
  fs::create_directory(path_ / "home");
}

Sandbox::~Sandbox() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

Outcome Sandbox::run(const Words& arguments, const Options& options) const {
  Words words{options.program.empty() ? ONNXPORT_EXECUTABLE : options.program.string()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  Words environment{"PATH=/usr/bin:/bin", "HOME=" + (path_ / "home").string(), "LC_ALL=C"};
  // A build with sanitizers is told its options by the environment.
  for (const char* name : {"ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"}) {
    if (const char* value = std::getenv(name)) environment.push_back(std::string(name) + "=" + value);
  }
  environment.insert(environment.end(), options.environment.begin(), options.environment.end());
  const std::vector<char*> argv = pointers(words), envp = pointers(environment);

  int out[2], err[2];
  BOOST_REQUIRE(::pipe2(out, O_CLOEXEC) == 0);
  if (options.terminal)
    BOOST_REQUIRE(::openpty(&err[0], &err[1], nullptr, nullptr, nullptr) == 0);
  else
    BOOST_REQUIRE(::pipe2(err, O_CLOEXEC) == 0);
  const pid_t child = ::fork();
  BOOST_REQUIRE(child >= 0);
  if (child == 0) {
    ::dup2(out[1], STDOUT_FILENO);
    ::dup2(err[1], STDERR_FILENO);
    ::close(STDIN_FILENO);
    ::open("/dev/null", O_RDONLY);
    if (::chdir(path_.c_str()) != 0) ::_exit(126);
    // Whoever runs the tests in the background may ignore some of them, and the command would as well.
    for (const int number : {SIGHUP, SIGINT, SIGQUIT, SIGTERM}) ::signal(number, SIG_DFL);
    if (options.in_child) options.in_child();
    ::execve(argv[0], argv.data(), envp.data());
    ::_exit(127);
  }
  ::close(out[1]);
  ::close(err[1]);

  Outcome outcome;
  bool out_open = true, err_open = true, sent = false;
  while (out_open || err_open) {
    pollfd polled[] = {{out_open ? out[0] : -1, POLLIN, 0}, {err_open ? err[0] : -1, POLLIN, 0}};
    ::poll(polled, 2, options.when && !sent ? 1 : 1000);
    if (polled[0].revents != 0) out_open = drain(out[0], outcome.out);
    if (polled[1].revents != 0) err_open = drain(err[0], outcome.err);
    if (options.when && !sent && options.when()) {
      ::kill(child, options.signal);
      sent = true;
    }
  }
  ::close(out[0]);
  ::close(err[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  if (options.when) BOOST_CHECK_MESSAGE(sent, "the command ended before the signal was sent");
  return outcome;
}

std::string tiny_config(const std::string& fields) {
  nlohmann::ordered_json config{{"architectures", {"BertForMaskedLM"}},
                                {"model_type", "bert"},
                                {"hidden_size", 16},
                                {"num_hidden_layers", 2},
                                {"num_attention_heads", 2},
                                {"intermediate_size", 24},
                                {"vocab_size", 60},
                                {"max_position_embeddings", 32},
                                {"type_vocab_size", 2}};
  if (!fields.empty()) config.update(nlohmann::ordered_json::parse(fields));
  return config.dump();
}

fs::path Sandbox::checkpoint(const std::string& name, const std::string& fields) const {
  write(name + ".json", tiny_config(fields));
  const Outcome made = run({"synth", name + ".json", name, "--quiet"});
  BOOST_REQUIRE_MESSAGE(made.status == 0, "synth: " << made.err);
  fs::remove(path_ / (name + ".json"));
  return path_ / name;
}

void Sandbox::write(const fs::path& name, const std::string& text) const {
  fs::create_directories((path_ / name).parent_path());
  std::ofstream(path_ / name, std::ios::binary) << text;
}

std::string Sandbox::read(const fs::path& name) const {
  std::ifstream file(path_ / name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void Sandbox::write_safetensors(const fs::path& name, const std::string& header, size_t data) const {
  std::string file;
  for (int shift = 0; shift < 64; shift += 8) file.push_back(static_cast<char>(header.size() >> shift));
  write(name, file + header + std::string(data, '\0'));
}

std::set<std::string> Sandbox::tree() const {
  std::set<std::string> names;
  for (fs::recursive_directory_iterator entry(path_), end; entry != end; ++entry) {
    if (entry->path() == path_ / "home/.cache")  // what makes the next start faster, whatever this one ends in
      entry.disable_recursion_pending();
    else
      names.insert(entry->path().lexically_relative(path_).string());
  }
  return names;
}

nlohmann::json parsed(const Outcome& outcome) {
  BOOST_REQUIRE_MESSAGE(nlohmann::json::accept(outcome.out), "no JSON: " << outcome.out);
  return nlohmann::json::parse(outcome.out);
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

bool has_reference() {
  return fs::exists(fs::path(ONNXPORT_BUILD_DIR) / "lib/onnxport/backends/libonnxport_reference.so");
}

boost::test_tools::assertion_result reference_built(boost::unit_test::test_unit_id) {
  using Answer = boost::test_tools::assertion_result;
  return has_reference() ? Answer(true) : onnxport::test::skipped("the reference back end is not built");
}

void write_fixture_model(const Sandbox& sandbox, const std::string& type) {
  sandbox.write("model/config.json", R"({"model_type": ")" + type + R"(", "architectures": ["TheModel"], "size": 4})");
  sandbox.write_safetensors("model/model.safetensors",
                            R"({"linear.weight":{"dtype":"F32","shape":[4,4],"data_offsets":[0,64]}})", 64);
}

fs::path fixture_plugins(const std::string& kind) {
  return fs::path(ONNXPORT_BUILD_DIR) / "tests/abi" / ("plugins-" + kind);
}

void check_failure(const Sandbox& sandbox, const Words& arguments, int status, const Words& parts,
                   const Sandbox::Options& options) {
  const std::set<std::string> before = sandbox.tree();
  const Outcome outcome = sandbox.run(arguments, options);
  std::string shown;
  for (const std::string& word : arguments) shown += word + " ";
  BOOST_TEST_CONTEXT(shown << "\n" << outcome.err) {
    BOOST_TEST(outcome.status == status);
    BOOST_TEST(outcome.err.starts_with("onnxport: error: "));
    BOOST_TEST(contains(outcome.err, "\n  "), "no next step");
    for (const std::string& part : parts)
      BOOST_TEST(contains(outcome.err, part), "'" << part << "' is not in the message");
    const std::set<std::string> after = sandbox.tree();
    for (const std::string& name : after) BOOST_TEST(before.contains(name), name << " was left behind");
    BOOST_TEST(before.size() == after.size());
  }
}

}  // namespace cli
