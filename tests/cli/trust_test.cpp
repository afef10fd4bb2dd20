// SPDX-License-Identifier: Apache-2.0
// Policies, signatures and --safe, as a company uses them.
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "command.hpp"
#include "tests/support/skips.hpp"

namespace trust_test {

using namespace cli;
using Json = nlohmann::json;

namespace {

constexpr const char* users_policy = "home/.config/onnxport/trust.yaml";
const std::string linear = "org.onnxport.test.c-linear";

/// A model and a plugin for it in a place of its own.
struct Company : Sandbox {
  Company() {
    write_fixture_model(*this, "c-linear");
    fs::create_directories(path() / "plugins");
    fs::copy(fixture_plugins("c_linear") / "fixture_c_linear", path() / "plugins/linear");
  }
  Words exported(const Words& more = {}) const {
    Words words{"export", "-m", "model", "--plugin-dir", "plugins", "out"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  Json json(Words words, const Options& options = {}) const {
    words.emplace_back("--json");
    const Outcome outcome = run(words, options);
    BOOST_REQUIRE_MESSAGE(Json::accept(outcome.out), outcome.out << outcome.err);
    return Json::parse(outcome.out);
  }
  std::string message(const Words& words, const Options& options = {}) const {
    return json(words, options).value("error", Json::object()).value("message", "no error");
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(trust, Company)

BOOST_AUTO_TEST_CASE(what_a_policy_decided_is_in_the_report) {
  write(users_policy, "require: known\nids: [org.onnxport.test.*]\n");
  const Outcome outcome = run(exported({"--no-validate"}));
  BOOST_TEST(outcome.status == 0, outcome.err);
  BOOST_TEST(contains(outcome.out, "trust: plugin " + linear + ": allowed, by "), outcome.out);
  BOOST_TEST(contains(outcome.out, "its id is known: org.onnxport.test.*"), outcome.out);
  const Json trust = json(exported({"--no-validate"}))["trust"];
  BOOST_REQUIRE(trust.size() == 1u);
  BOOST_TEST(trust[0]["allowed"] == true);
  BOOST_TEST(trust[0]["id"] == linear);
  write(users_policy, "require: none\ndeny: {ids: [org.onnxport.test.c-linear]}\n");
  check_failure(*this, exported({"--no-validate"}), 4, {"denied by the trust policy", "trust.yaml"});
}

BOOST_AUTO_TEST_CASE(trusting_makes_or_extends_the_users_policy) {
  const Outcome made = run({"plugins", "trust", "plugins/linear"});
  BOOST_TEST(made.status == 0, made.err);
  BOOST_TEST(contains(made.out, "was made"), made.out);
  BOOST_TEST(contains(read(users_policy), "# " + linear), read(users_policy));
  BOOST_TEST(run(exported({"--no-validate"})).status == 0);
  // Another plugin is another matter.
  fs::copy(fixture_plugins("headless") / "fixture_headless", path() / "plugins/headless");
  write("other/config.json", R"({"model_type": "headless", "architectures": ["TheModel"]})");
  write_safetensors("other/model.safetensors", "{}", 0);
  BOOST_TEST(contains(message({"export", "-m", "other", "--no-validate", "--plugin-dir", "plugins", "out"}),
                      "is among those of the trust policy"));
  BOOST_TEST(run({"plugins", "trust", "plugins/headless"}).status == 0);
  BOOST_TEST(
      contains(run({"plugins", "list", "--plugin-dir", "plugins"}).out, "usable       org.onnxport.test.headless"));
  BOOST_TEST(run({"plugins", "trust", "plugins/linear", "--policy", "here.yaml"}).status == 0);
  check_failure(*this, {"plugins", "trust", "model"}, 2, {"found no plugin.yaml"});
  check_failure(*this, {"plugins", "trust", "plugins/linear", "--by", "publisher"}, 2, {"not signed"});
}

BOOST_AUTO_TEST_CASE(publishers_sign_and_users_verify) {
  const Json key = json({"plugins", "sign", "--make-key", "acme.pem", "plugins/linear"});
  const std::string publisher = key["publisher"];
  BOOST_TEST(json({"plugins", "verify", "plugins/linear"})["publisher"] == publisher);
  BOOST_TEST(json({"plugins", "sign", "--key", "acme.pem", "plugins/linear"})["publisher"] == publisher);
  write(users_policy, "require: known-publisher\npublishers: [\"" + publisher + "\"]\n");
  ::chmod((path() / users_policy).c_str(), 0644);
  BOOST_TEST(run(exported({"--no-validate"})).status == 0);

  // The manifest of somebody who did not sign it.
  write("plugins/linear/plugin.yaml", read("plugins/linear/plugin.yaml") + "# changed\n");
  check_failure(*this, exported({"--no-validate"}), 4, {"found other bytes than plugin.yaml.sig was made for"});
  check_failure(*this, {"plugins", "verify", "plugins/linear"}, 4, {"found other bytes"});
  fs::remove(path() / "plugins/linear/plugin.yaml.sig");
  check_failure(*this, exported({"--no-validate"}), 4, {"not signed"});
  ::chmod((path() / "acme.pem").c_str(), 0644);
  check_failure(*this, {"plugins", "sign", "--key", "acme.pem", "plugins/linear"}, 2, {"mode 0644"});
  check_failure(*this, {"plugins", "sign", "plugins/linear"}, 2, {"no key"});
}

/// A program that was installed elsewhere, with a policy of that installation.
BOOST_AUTO_TEST_CASE(the_machines_policy_holds_whatever_the_user_says) {
  fs::create_directories(path() / "prefix/bin");
  fs::copy_file(ONNXPORT_EXECUTABLE, path() / "prefix/bin/onnxport");
  Options options;
  options.program = path() / "prefix/bin/onnxport";
  BOOST_TEST(message(exported({"--no-validate"}), options) == "no error");
  write("prefix/etc/onnxport/trust.yaml", "require: known\nids: [com.acme.*]\n");
  write(users_policy, "require: none\nids: [org.onnxport.test.*]\n");
  BOOST_TEST(contains(message(exported({"--no-validate"}), options), "prefix/etc/onnxport/trust.yaml"));
  write("own.yaml", "require: none\n");
  BOOST_TEST(contains(message(exported({"--no-validate", "--trust", "own.yaml"}), options), "prefix/etc/onnxport"));
  // The user may add to it what only forbids.
  write("prefix/etc/onnxport/trust.yaml", "require: none\n");
  write(users_policy, "require: known\n");
  BOOST_TEST(contains(message(exported({"--no-validate"}), options), users_policy));
  write("prefix/etc/onnxport/trust.yaml", "require: [");
  BOOST_TEST(contains(message(exported({"--no-validate"}), options), "prefix/etc/onnxport/trust.yaml"));
}

BOOST_AUTO_TEST_CASE(back_ends_obey_the_same_policy, *boost::unit_test::precondition(reference_built)) {
  const std::string ids = "require: known\nids: [org.onnxport.test.*, org.onnxport.backend.*]\n";
  write(users_policy, "require: known\nids: [org.onnxport.test.*]\n");
  BOOST_TEST(contains(message(exported()), "org.onnxport.backend."), message(exported()));
  write(users_policy, ids);
  const Json report = json(exported());
  BOOST_TEST(report["status"] == "ok");
  BOOST_TEST(contains(report["trust"].dump(), "org.onnxport.backend.onnxruntime"), report["trust"].dump());
  // So does what the environment names.
  fs::copy(fs::path(ONNXPORT_BUILD_DIR) / "lib/onnxport/backends", path() / "backends");
  Options elsewhere;
  elsewhere.environment = {"ONNXPORT_BACKEND_PATH=" + (path() / "backends").string()};
  write(users_policy, ids + "deny: {directories: [" + (path() / "backends").string() + "]}\n");
  BOOST_TEST(contains(message(exported(), elsewhere), "denied by the trust policy"), message(exported(), elsewhere));
  fs::remove(path() / users_policy);
  ::chmod((path() / "backends").c_str(), 0777);
  BOOST_TEST(contains(message(exported(), elsewhere), "writable by everybody"), message(exported(), elsewhere));
}

BOOST_AUTO_TEST_CASE(what_is_no_back_end_is_called_so, *boost::unit_test::precondition(reference_built)) {
  const fs::path folder = path() / "backends";
  fs::copy(fs::path(ONNXPORT_BUILD_DIR) / "lib/onnxport/backends", folder);
  Options options;
  options.environment = {"ONNXPORT_BACKEND_PATH=" + folder.string()};
  const fs::path library = folder / "libonnxport_onnxruntime.so";
  fs::copy_file(path() / "plugins/linear/libonnxport_fixture_c_linear.so", library,
                fs::copy_options::overwrite_existing);
  const Outcome plugin = run(exported(), options);
  BOOST_TEST(plugin.status == 4);
  BOOST_TEST(contains(plugin.err, "is not the back end 'onnxruntime': it has no symbol"), plugin.err);
  std::ofstream(library) << "text";
  const Outcome text = run(exported(), options);
  BOOST_TEST(text.status == 2);
  BOOST_TEST(contains(text.err, "libonnxport_onnxruntime.so: file too short\n"), text.err);
}

BOOST_AUTO_TEST_CASE(safe_is_what_came_with_the_program) {
  const Words words{"export", "-m", "model", "--no-validate", "--safe", "out"};
  Options options;
  options.environment = {"ONNXPORT_PLUGIN_PATH=" + (path() / "plugins").string(), "ONNXPORT_BACKEND_PATH=/nowhere"};
  BOOST_TEST(contains(message(words, options), "unknown model type 'c-linear'"));
  BOOST_TEST(contains(run(words, options).err, "only plugins that came with the program were looked at"));
  check_failure(*this, exported({"--safe"}), 2, {"--plugin-dir"});
  checkpoint();
  const Words validated{"export", "-m", "bert", "--safe", "out"};
  if (has_reference()) BOOST_TEST(message(validated, options) == "no error");
}

/// With other rights than its caller has, the program heeds nothing that the caller names.
BOOST_AUTO_TEST_CASE(raised_privileges_leave_the_environment_out) {
  struct statvfs mount {};
  if (::geteuid() != 0 || ::statvfs(path().c_str(), &mount) != 0 || (mount.f_flag & ST_NOSUID) != 0)
    return onnxport::test::not_run("only root can hand a program its rights, where the file system keeps them");
  fs::create_directories(path() / "prefix/bin");
  const fs::path program = path() / "prefix/bin/onnxport";
  fs::copy_file(ONNXPORT_EXECUTABLE, program);
  ::chmod(program.c_str(), 04755);
  Options options;
  options.program = program;
  options.environment = {"ONNXPORT_PLUGIN_PATH=" + (path() / "plugins").string(),
                         "ONNXPORT_BACKEND_PATH=" + (path() / "backends").string()};
  options.in_child = [] {
    if (::setgid(65534) != 0 || ::setuid(65534) != 0) ::_exit(125);
  };
  const Json list = json({"plugins", "list"}, options);
  BOOST_TEST(contains(list.dump(), "running with elevated privileges"), list.dump());
  BOOST_TEST(contains(list.dump(), "ONNXPORT_BACKEND_PATH"));
  BOOST_TEST(!contains(list["plugins"].dump(), linear));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace trust_test
