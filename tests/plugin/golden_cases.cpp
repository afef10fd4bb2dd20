// SPDX-License-Identifier: Apache-2.0
// A suite a plugin, called after its folder: each of its recorded cases, and those of the folders in ONNXPORT_GOLDENS
// whose types it serves, exported, run and compared with what the original model answered.
//
// A recording that meets a gap which the plugin knows is skipped with the gap's reason, and fails where it works.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "tests/plugin/answers.hpp"
#include "tests/plugin/fields.hpp"
#include "tests/plugin/layouts.hpp"
#include "tests/support/skips.hpp"

namespace onnxport::test {
namespace {

namespace fs = std::filesystem;
namespace utf = boost::unit_test;

utf::test_case* new_case(const std::string& name, const std::function<void()>& body) {
  return utf::make_test_case(body, name, __FILE__, __LINE__);
}

/// A case that fails with each problem.
template <class Check>
utf::test_case* checking(const std::string& name, Check check) {
  return new_case(name, [check] {
    const Problems problems = check();
    for (const std::string& problem : problems) BOOST_ERROR(problem);
    BOOST_TEST(problems.empty());
  });
}

utf::test_case* only_with_all(utf::test_case* made) {
  made->add_precondition(
      [](utf::test_unit_id) { return test_all() ? Answer(true) : skipped("runs with scripts/test --all"); });
  return made;
}

/// A recording that the plugin says does not work: tried when its turn comes.
utf::test_case* expected_to_fail(const std::string& name, const Recording& recording, const std::string& reason) {
  utf::test_case* made =
      new_case(name, [] { BOOST_ERROR("works, although the plugin lists it among its known gaps: remove it there"); });
  made->add_precondition([recording, reason](utf::test_unit_id) {
    return answers(recording, {highest_opset}).empty() ? Answer(true) : skipped("known gap: " + reason);
  });
  return made;
}

/// A plugin's folder and what is tested of it.
struct Tested {
  const Candidate* candidate = nullptr;
  std::vector<Recording> own;
  utf::test_suite* suite = nullptr;
};

void add_recording(const Tested& plugin, const Recording& recording, const std::string& name) {
  const Manifest::Model& model = *plugin.candidate->manifest.model(recording.model_type);
  if (const Manifest::KnownGap* gap = known_gap(recording, model))
    plugin.suite->add(expected_to_fail(name, recording, gap->reason));
  else
    plugin.suite->add(checking(name, [recording] { return answers(recording, tested_opsets()); }));
}

/// What is tested of each type once, by its first recording that has to work.
void add_forms(const Tested& plugin) {
  std::set<std::string> seen;
  for (const Recording& recording : plugin.own) {
    const Manifest::Model* model = plugin.candidate->manifest.model(recording.model_type);
    if (model == nullptr || known_gap(recording, *model) != nullptr) continue;
    if (!seen.insert(normal_type(recording.model_type)).second) continue;
    utf::test_case* in_f16 =
        only_with_all(checking(recording.model_type + "_in_f16", [recording] { return answers_in_f16(recording); }));
    in_f16->add_precondition(reference_built);
    if (!recording.departs_in_f16.empty())
      in_f16->add_precondition([recording](utf::test_unit_id) { return skipped(recording.departs_in_f16); });
    plugin.suite->add(in_f16);
    plugin.suite->add(
        only_with_all(checking(recording.model_type + "_linked", [recording] { return answers_linked(recording); })));
    plugin.suite->add(
        only_with_all(checking(recording.model_type + "_fixed", [recording] { return answers_fixed(recording); })));
  }
  bool first = true;
  for (const StepRecordings& steps : step_recordings(plugin.own)) {
    for (const std::string layout : {"split", "merged"}) {
      utf::test_case* made =
          checking(steps.first.model_type + "_" + layout, [steps, layout] { return layout_answers(steps, layout); });
      plugin.suite->add(first ? made : only_with_all(made));
    }
    first = false;
  }
}

void check_completeness(const Tested& plugin) {
  std::set<std::string> recorded;
  for (const Recording& recording : plugin.own) {
    recorded.insert(normal_type(recording.model_type));
    BOOST_TEST(plugin.candidate->manifest.model(recording.model_type) != nullptr,
               "the plugin does not serve " << recording.model_type << ", of which its cases hold a recording");
    for (const std::string& name : recording.cases) BOOST_TEST(fs::exists(recording.folder / name));
  }
  for (const Manifest::Model& model : plugin.candidate->manifest.models) {
    for (const std::string& type : model.types)
      BOOST_TEST(recorded.contains(normal_type(type)), "cases/ holds no recording of " << type);
  }
}

std::map<std::string, Tested> tested_plugins() {
  std::map<std::string, Tested> plugins;
  for (const Candidate& candidate : built_plugins().candidates()) {
    const std::string name = candidate.manifest_path.parent_path().filename().string();
    if (!fs::is_directory(fs::path(ONNXPORT_PLUGIN_SOURCES) / name)) continue;
    const fs::path cases = recorded(name, "");
    plugins[name] = {&candidate, fs::exists(cases) ? recordings_in(cases) : std::vector<Recording>{},
                     BOOST_TEST_SUITE(name)};
  }
  return plugins;
}

}  // namespace

bool add_golden_cases() {
  auto& master = utf::framework::master_test_suite();
  static std::map<std::string, Tested> plugins = tested_plugins();
  for (auto& [name, plugin] : plugins) {
    master.add(plugin.suite);
    plugin.suite->add(new_case("its_types_are_recorded", [&plugin = plugin] { check_completeness(plugin); }));
    plugin.suite->add(new_case("its_fields_are_accounted_for", [&plugin = plugin, name = name] {
      check_fields(*plugin.candidate, recorded(name, "fields.json"));
    }));
    for (const Recording& recording : plugin.own) {
      if (plugin.candidate->manifest.model(recording.model_type) != nullptr)
        add_recording(plugin, recording, recording.name());
    }
    add_forms(plugin);
  }
  if (!backend_installed("reference"))
    skips().push_back({"what the reference says to the recordings", "the reference back end is not built"});
  std::map<std::string, int> without_plugin;
  for (const fs::path& folder : given_folders()) {
    for (const Recording& recording : recordings_in(folder)) {
      const auto serving = std::find_if(plugins.begin(), plugins.end(), [&](const auto& plugin) {
        return plugin.second.candidate->manifest.model(recording.model_type) != nullptr;
      });
      // Several folders may hold a recording of one name, and not the same one.
      if (serving != plugins.end())
        add_recording(serving->second, recording, "given_" + folder.filename().string() + "_" + recording.name());
      else
        ++without_plugin[recording.model_type];
    }
  }
  utf::test_suite* others = BOOST_TEST_SUITE("without_plugin");
  master.add(others);
  for (const auto& [type, count] : without_plugin) {
    utf::test_case* made = new_case(type, [] {});
    made->add_precondition([count = count](utf::test_unit_id) {
      return skipped(std::to_string(count) + " recordings, and no plugin serves the type");
    });
    others->add(made);
  }
  return true;
}

}  // namespace onnxport::test
