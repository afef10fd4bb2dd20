// SPDX-License-Identifier: Apache-2.0
// Plugins whose code ends or holds up the process it runs in.
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

#include "command.hpp"
#include "tests/support/skips.hpp"

namespace containment_test {

using namespace cli;
using Json = nlohmann::json;

namespace {

constexpr const char* hostile = "org.onnxport.test.hostile";

Words exported(const Words& plugins) {
  Words words{"export", "-m", "model", "--no-validate"};
  for (const std::string& kind : plugins) words.insert(words.end(), {"--plugin-dir", fixture_plugins(kind).string()});
  words.emplace_back("new/out");
  return words;
}

Words exported_as_json() {
  Words words = exported({"hostile"});
  words.emplace_back("--json");
  return words;
}

/// The object of --json; what else is on standard output, or none, is a failure.
Json object_of(const Outcome& outcome) {
  BOOST_REQUIRE_MESSAGE(Json::accept(outcome.out), outcome.out);
  return Json::parse(outcome.out);
}

/// The files of the user's quarantine.
size_t quarantined(const Sandbox& sandbox) {
  const fs::path folder = sandbox / "home/.local/state/onnxport/quarantine";
  std::error_code none;
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder, none), fs::directory_iterator{}));
}

struct Deed {
  const char *type, *what, *where;
};
constexpr Deed deeds[] = {{"crash-in-create", "crashed by SIGSEGV", "in create()"},
                          {"crash-in-describe", "crashed by SIGSEGV", "in describe()"},
                          {"crash-in-forward", "crashed by SIGSEGV", "in forward(), after a step of 'encoder.layer.3'"},
                          {"crash-in-release", "crashed by SIGSEGV", "in release()"},
                          {"abort-in-forward", "crashed by SIGABRT", "in forward()"},
                          {"divide-in-forward", "crashed by SIGFPE", "in forward()"},
                          {"overflow-in-forward", "crashed by SIGSEGV", "in forward()"},
                          {"corrupt-in-forward", "crashed by SIG", "in forward()"},
                          {"interrupt-in-create", "crashed by SIGINT", "in create()"},
                          {"terminate-in-forward", "crashed by SIGTERM", "in forward()"},
                          {"shoot-in-create", "crashed by SIGSYS (a call that plugins may not make", "in create()"},
                          {"poke-in-describe", "crashed by SIGSYS", "in describe()"},
                          {"freeze-in-forward", "crashed by SIGSYS", "in forward()"},
                          {"slay-in-forward", "crashed by SIGSYS", "in forward()"},
                          {"spray-in-release", "crashed by SIGSYS", "in release()"},
                          {"overrun-in-forward", "crashed by SIGSEGV", "in forward()"},
                          {"fill-in-forward", "left no file that the process may still open", "in forward()"},
                          {"exit-in-create", "ended the process with exit status 0", "in create()"},
                          {"exit-in-forward", "ended the process with exit status 0", "in forward()"},
                          {"quick-in-forward", "ended the process with exit status 0", "in forward()"},
                          {"quick-in-release", "ended the process with exit status 0", "in release()"}};

}  // namespace

BOOST_AUTO_TEST_SUITE(containment)

BOOST_AUTO_TEST_CASE(a_plugin_that_ends_the_process_is_named_and_leaves_nothing) {
  for (const auto& [type, what, where] : deeds) {
    const Sandbox sandbox;
    write_fixture_model(sandbox, type);
    const Outcome outcome = sandbox.run(exported_as_json());
    BOOST_TEST_CONTEXT(type << "\n" << outcome.out << outcome.err) {
      BOOST_TEST(outcome.status == 4);
      const Json object = object_of(outcome);
      BOOST_TEST(object["status"] == "error");
      BOOST_TEST(object["exit_status"] == 4);
      BOOST_TEST(object["error"]["kind"] == "plugin");
      const std::string message = object["error"]["message"];
      for (const char* part : {hostile, what, where})
        BOOST_TEST(contains(message, part), "'" << part << "' is not in: " << message);
      BOOST_TEST(!fs::exists(sandbox / "new"));
      for (const std::string& name : sandbox.tree()) BOOST_TEST(!contains(name, ".onnxport-"), name);
      BOOST_TEST(quarantined(sandbox) == 1u);
    }
  }
}

BOOST_AUTO_TEST_CASE(one_that_crashes_when_it_has_returned_is_not_loaded_again,
                     *boost::unit_test::precondition(reference_built)) {
  const Sandbox sandbox;
  write_fixture_model(sandbox, "late-in-describe");
  Words words = exported_as_json();
  std::erase(words, "--no-validate");
  const Outcome outcome = sandbox.run(words);
  BOOST_TEST(outcome.status == 4, outcome.out << outcome.err);
  const std::string message = object_of(outcome)["error"]["message"];
  for (const char* part : {hostile, "SIGSEGV"})
    BOOST_TEST(contains(message, part), "'" << part << "' is not in: " << message);
  BOOST_TEST(quarantined(sandbox) == 1u);
  BOOST_TEST(!fs::exists(sandbox / "new"));
}

/// As libraries do that get no memory: the bound is the user's, and nobody's code is wrong.
BOOST_AUTO_TEST_CASE(a_crash_for_want_of_memory_is_told_by_the_bound) {
#ifdef __SANITIZE_ADDRESS__
  onnxport::test::not_run("the sanitizer has a handler of its own");
#else
  const Sandbox sandbox;
  write_fixture_model(sandbox, "exhaust-in-forward");
  Words words = exported({"hostile"});
  words.insert(words.end(), {"--max-memory", "64MB"});
  const Outcome outcome = sandbox.run(words);
  BOOST_TEST(outcome.status == 2);
  BOOST_TEST(outcome.err.starts_with("onnxport: error: the work took more memory than --max-memory 64.0 MB allows\n"),
             outcome.err);
  BOOST_TEST(!contains(outcome.err, "defect"), outcome.err);
  BOOST_TEST(!fs::exists(sandbox / "new"));
  BOOST_TEST(quarantined(sandbox) == 0u);
#endif
}

BOOST_AUTO_TEST_CASE(the_same_in_words_and_in_other_commands) {
  const Sandbox sandbox;
  write_fixture_model(sandbox, "crash-in-create");
  const Outcome outcome = sandbox.run(exported({"hostile"}));
  BOOST_TEST(outcome.status == 4);
  BOOST_TEST(outcome.err.starts_with("onnxport: error: plugin org.onnxport.test.hostile crashed by SIGSEGV"),
             outcome.err);
  const std::string plugins = fixture_plugins("hostile").string();
  for (const Words& words :
       {Words{"synth", "model/config.json", "made", "--plugin-dir", plugins}, Words{"plugins", "check", plugins}}) {
    const Sandbox fresh;
    write_fixture_model(fresh, "crash-in-create");
    const Outcome other = fresh.run(words);
    BOOST_TEST(other.status == 4, words[0]);
    BOOST_TEST(contains(other.err, "crashed by SIGSEGV"), other.err);
  }
}

BOOST_AUTO_TEST_CASE(what_a_plugin_changes_of_its_process_is_put_back) {
  for (const std::string deed : {"wander", "deafen", "scribble", "lock", "twin", "leave", "stop", "overwrite"}) {
    for (const char* function : {"create", "forward"}) {
      const Sandbox sandbox;
      write_fixture_model(sandbox, deed + "-in-" + function);
      const Outcome outcome = sandbox.run(exported_as_json());
      BOOST_TEST_CONTEXT(deed << " in " << function << "\n" << outcome.out << outcome.err) {
        BOOST_TEST(outcome.status == 0);
        BOOST_TEST(object_of(outcome)["exit_status"] == 0);
        BOOST_REQUIRE(fs::exists(sandbox / "new/out/model.onnx"));
        const fs::perms owner = fs::perms::owner_read | fs::perms::owner_write;
        BOOST_TEST(bool((fs::status(sandbox / "new/out/model.onnx").permissions() & owner) == owner));
        for (const std::string& name : sandbox.tree()) BOOST_TEST(!contains(name, ".onnxport-"), name);
      }
      if (deed == "leave")
        BOOST_TEST(::kill(std::stoi(sandbox.read("left")), 0) != 0, "a process that the plugin made goes on");
    }
  }
}

#if defined(__linux__) && defined(SYS_landlock_create_ruleset)
BOOST_AUTO_TEST_CASE(a_plugin_does_not_reach_the_memory_of_its_watcher) {
  constexpr uint32_t asks_version = 1;
  if (::syscall(SYS_landlock_create_ruleset, nullptr, size_t{0}, asks_version) < 4) {
    BOOST_TEST_MESSAGE("this system has no Landlock 4");
    return;
  }
  const Sandbox sandbox;
  write_fixture_model(sandbox, "reach-in-forward");
  const Outcome outcome = sandbox.run(exported_as_json());
  BOOST_TEST(outcome.status == 0, outcome.out << outcome.err);
  BOOST_TEST(object_of(outcome)["exit_status"] == 0);
  BOOST_TEST(fs::exists(sandbox / "new/out/model.onnx"));
}
#endif

BOOST_AUTO_TEST_CASE(a_plugin_that_changes_the_root_of_paths_is_named) {
  const Sandbox sandbox;
  write_fixture_model(sandbox, "burrow-in-forward");
  const Outcome outcome = sandbox.run(exported_as_json());
  if (::geteuid() != 0) return onnxport::test::not_run("only root can change the root of paths");
  BOOST_TEST(outcome.status == 4);
  BOOST_TEST(contains(outcome.out, "plugin org.onnxport.test.hostile put another folder in the place of the root"),
             outcome.out);
  BOOST_TEST(!fs::exists(sandbox / "new"));
}

BOOST_AUTO_TEST_CASE(a_plugin_that_closes_what_is_not_its_own_is_named) {
  const Sandbox sandbox;
  write_fixture_model(sandbox, "close-in-forward");
  const Outcome outcome = sandbox.run(exported_as_json());
  BOOST_TEST(outcome.status == 4);
  const std::string message = object_of(outcome)["error"]["message"];
  BOOST_TEST(message.starts_with("plugin org.onnxport.test.hostile closed files that are not its own in forward()"),
             message);
  BOOST_TEST(!fs::exists(sandbox / "new"));
}

/// By force: one that does so by accident finds the memory guarded.
BOOST_AUTO_TEST_CASE(a_plugin_that_writes_over_what_watches_it_is_told) {
  const Sandbox sandbox;
  write_fixture_model(sandbox, "pry-in-create");
  const Outcome outcome = sandbox.run(exported_as_json());
  BOOST_TEST(outcome.status == 4, outcome.out);
  const Json object = object_of(outcome);
  BOOST_TEST(object["exit_status"] == 4);
  BOOST_TEST(contains(object["error"]["message"].get<std::string>(), "a plugin wrote over the memory"));
  BOOST_TEST(outcome.err.empty());
  BOOST_TEST(!fs::exists(sandbox / "new/out"));
}

BOOST_AUTO_TEST_CASE(what_a_plugin_prints_is_not_in_the_object) {
  const Sandbox sandbox;
  write_fixture_model(sandbox, "print-in-forward");
  const Outcome outcome = sandbox.run(exported_as_json());
  BOOST_TEST(outcome.status == 0);
  BOOST_TEST(object_of(outcome)["exit_status"] == 0);
  BOOST_TEST(object_of(outcome).contains("model_file"));
}

BOOST_AUTO_TEST_CASE(the_first_signal_ends_a_loop) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) {
    const Sandbox sandbox;
    write_fixture_model(sandbox, "loop-in-forward");
    Sandbox::Options options;
    options.signal = signal;
    options.when = [&] { return fs::exists(sandbox / "new"); };
    const Outcome outcome = sandbox.run(exported_as_json(), options);
    BOOST_TEST(outcome.status == 130);
    BOOST_TEST(object_of(outcome)["status"] == "interrupted");
    BOOST_TEST(!fs::exists(sandbox / "new"));
    BOOST_TEST(quarantined(sandbox) == 0u, "who is interrupted is not to blame");
  }
}

BOOST_AUTO_TEST_CASE(one_that_ends_it_while_it_is_loaded_makes_room_for_the_next) {
  for (const char* kind : {"load_crash", "load_exit", "load_shoot", "load_throw", "entry_exit"}) {
    const Sandbox sandbox;
    write_fixture_model(sandbox, "c-linear");
    const Outcome outcome = sandbox.run(exported({kind, "c_linear"}));
    BOOST_TEST_CONTEXT(kind << "\n" << outcome.out << outcome.err) {
      BOOST_TEST(outcome.status == 0);
      BOOST_TEST(contains(outcome.out, "is not used"));
      BOOST_TEST(contains(outcome.out, "while its library was loaded"));
      BOOST_TEST(contains(outcome.out, "by org.onnxport.test.c-linear"));
    }
    const Outcome alone = sandbox.run(exported({kind}));
    BOOST_TEST(alone.status == 4);
    BOOST_TEST(contains(alone.err, "in quarantine"), alone.err);
  }
}

BOOST_AUTO_TEST_CASE(one_that_does_not_load_makes_room_as_well) {
  for (const char* kind : {"corrupt", "wrong_sha256"}) {
    const Sandbox sandbox;
    write_fixture_model(sandbox, "c-linear");
    const Outcome outcome = sandbox.run(exported({kind, "c_linear"}));
    BOOST_TEST(outcome.status == 0, outcome.err);
    BOOST_TEST(contains(outcome.out, "is not used"), outcome.out);
  }
}

BOOST_AUTO_TEST_CASE(the_quarantine_is_told_and_opened) {
  const Sandbox sandbox;
  write_fixture_model(sandbox, "exit-in-create");
  BOOST_TEST(sandbox.run({"plugins", "quarantine"}).out == "no plugin is in quarantine\n");
  BOOST_TEST(sandbox.run(exported({"hostile"})).status == 4);
  const Outcome again = sandbox.run(exported({"hostile"}));
  BOOST_TEST(again.status == 4);
  BOOST_TEST(contains(again.err, "in quarantine, since it ended the process with exit status 0 in create()"),
             again.err);

  const Json listed = object_of(sandbox.run({"plugins", "quarantine", "--json"}));
  BOOST_REQUIRE(listed["quarantine"].size() == 1u);
  const Json& record = listed["quarantine"][0];
  BOOST_TEST(record["plugin"] == hostile);
  BOOST_TEST(record["signal"] == "exit 0");
  BOOST_TEST(record["date"].get<std::string>().ends_with("Z"));
  BOOST_TEST(record["sha256"].get<std::string>().size() == 64u);
  const Words list{"plugins", "list", "--plugin-dir", fixture_plugins("hostile").string()};
  BOOST_TEST(contains(sandbox.run(list).out, "refused      org.onnxport.test.hostile"));
  Words as_json = list;
  as_json.emplace_back("--json");
  const Json candidate = object_of(sandbox.run(as_json))["plugins"][0];
  BOOST_TEST(candidate["license"] == "Apache-2.0");
  BOOST_TEST(candidate["abi"].get<std::string>().starts_with("1."));
  BOOST_TEST(candidate["features"]["exit-in-create"] == Json::array({"default"}));

  // Whoever asks for it sees what it does.
  Words asked = exported({"hostile"});
  asked.emplace_back("--ignore-quarantine");
  BOOST_TEST(contains(sandbox.run(asked).err, "ended the process with exit status 0 in create()"));

  check_failure(sandbox, {"plugins", "quarantine", "nobody", "--clear"}, 2, {"no plugin 'nobody'"});
  BOOST_TEST(contains(sandbox.run({"plugins", "quarantine", hostile, "--clear"}).out, "released: "));
  BOOST_TEST(quarantined(sandbox) == 0u);
  const Outcome released = sandbox.run(exported({"hostile"}));
  BOOST_TEST(contains(released.err, "plugin org.onnxport.test.hostile ended the process"), released.err);
}

BOOST_AUTO_TEST_CASE(a_check_tries_what_is_in_quarantine) {
  const Sandbox sandbox;
  write_fixture_model(sandbox, "c-linear");
  const fs::path folder = fixture_plugins("c_linear") / "fixture_c_linear";
  const Json listed = object_of(sandbox.run({"plugins", "list", "--json", "--plugin-dir", folder.string()}));
  const std::string sum = listed["plugins"][0]["sha256"];
  sandbox.write(
      "home/.local/state/onnxport/quarantine/" + sum + ".yaml",
      "plugin: org.onnxport.test.c-linear\nlibrary: " + (folder / "libonnxport_fixture_c_linear.so").string() +
          "\nsha256: " + sum + "\nreason: crashed\nsignal: SIGSEGV\ndate: 2026-01-01T00:00:00Z\n");
  BOOST_TEST(contains(sandbox.run(exported({"c_linear"})).err, "in quarantine, since it crashed"));
  const Outcome tried = sandbox.run({"plugins", "check", folder.string(), "--run", "--config", "model/config.json"});
  BOOST_TEST(contains(tried.out, "opset"), tried.out << tried.err);
  BOOST_TEST(!contains(tried.out + tried.err, "quarantine"), tried.out << tried.err);
}

BOOST_AUTO_TEST_CASE(a_record_can_be_read_whatever_its_path) {
  for (const char* folder : {"\xf0\x9f\x98\x80", "a\nb", "\xff"}) {
    const Sandbox sandbox;
    write_fixture_model(sandbox, "crash-in-create");
    fs::create_directories(sandbox / "plugins");
    fs::copy(fixture_plugins("hostile") / "fixture_hostile", sandbox / "plugins" / folder);
    const Words words{"export", "-m", "model", "--no-validate", "--plugin-dir", "plugins", "out"};
    BOOST_TEST(sandbox.run(words).status == 4);
    BOOST_TEST(object_of(sandbox.run({"plugins", "quarantine", "--json"}))["quarantine"].size() == 1u);
    const Outcome again = sandbox.run(words);
    BOOST_TEST(contains(again.err, "in quarantine, since it crashed by SIGSEGV"), again.err);
  }
}

/// What is no file is waited for, or read, for ever.
BOOST_AUTO_TEST_CASE(a_list_reads_files_only) {
  const Sandbox sandbox;
  for (const auto& file : fs::directory_iterator(fixture_plugins("c_linear") / "fixture_c_linear")) {
    if (file.path().extension() == ".so") continue;
    for (const char* kind : {"pipe", "device"}) {
      fs::create_directories(sandbox / "plugins" / kind);
      fs::copy_file(file.path(), sandbox / "plugins" / kind / file.path().filename());
    }
  }
  const std::string library = "libonnxport_fixture_c_linear.so";
  BOOST_REQUIRE(::mkfifo((sandbox / "plugins/pipe" / library).c_str(), 0600) == 0);
  fs::create_symlink("/dev/zero", sandbox / "plugins/device" / library);
  const Outcome outcome = sandbox.run({"plugins", "list", "--plugin-dir", "plugins"});
  BOOST_TEST(outcome.status == 0);
  BOOST_TEST(contains(outcome.out, "found a special file"), outcome.out);
}

BOOST_AUTO_TEST_CASE(a_list_shows_what_loading_would) {
  const Sandbox sandbox;
  Words words{"plugins", "list", "--json"};
  for (const char* kind : {"load_crash", "load_exit", "load_shoot", "load_overrun", "load_become", "lies", "corrupt",
                           "wrong_sha256", "c_linear"})
    words.insert(words.end(), {"--plugin-dir", fixture_plugins(kind).string()});
  for (int time = 0; time < 2; ++time) {  // the second one by the cache
    const Json list = object_of(sandbox.run(words));
    const auto entry = [&](const std::string& id, size_t nth = 0) {
      for (const Json& plugin : list["plugins"]) {
        if (plugin["id"] == id && nth-- == 0) return plugin;
      }
      return Json::object();
    };
    const std::pair<Json, const char*> broken[] = {
        {entry("org.onnxport.test.load_crash"), "crashed by SIGSEGV"},
        {entry("org.onnxport.test.load_exit"), "ended the process with exit status 0"},
        {entry("org.onnxport.test.load_shoot"), "crashed by SIGSYS"},
        {entry("org.onnxport.test.load_overrun"), "crashed by SIGSEGV"},
        {entry("org.onnxport.test.load_become"), "cut its process off from its watcher while its library was loaded"},
        {entry("org.onnxport.test.misfit"), "9.9.9"},
        {entry("org.onnxport.test.c-linear", 0), "cannot be opened"},
        {entry("org.onnxport.test.c-linear", 1), "found sha256"}};
    for (const auto& [plugin, reason] : broken) {
      BOOST_TEST(plugin.value("state", "") == "broken", plugin.dump());
      BOOST_TEST(contains(plugin.value("reason", ""), reason), plugin.dump());
    }
    const Json good = entry("org.onnxport.test.c-linear", 2);
    BOOST_TEST(good.value("state", "") == "usable", good.dump());
    BOOST_TEST(good.value("sha256", "").size() == 64u);
    BOOST_TEST(fs::exists(sandbox / "home/.cache/onnxport/loading"));
  }
}

/// A shell that puts the command in its own place leaves it what runs in the background.
BOOST_AUTO_TEST_CASE(processes_that_were_there_before_stay) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  sandbox.write("script",
                "sleep 20 & echo $! > pid; exec " ONNXPORT_EXECUTABLE " export -m bert --no-validate --quiet out");
  BOOST_TEST(std::system(("cd '" + (sandbox / ".").string() + "' && sh script > said 2>&1").c_str()) == 0);
  BOOST_TEST(fs::exists(sandbox / "out/model.onnx"));
  BOOST_TEST(::kill(std::stoi(sandbox.read("pid")), SIGKILL) == 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace containment_test
