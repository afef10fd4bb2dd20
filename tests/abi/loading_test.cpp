// SPDX-License-Identifier: Apache-2.0
// Libraries of plugins as the registry opens them: one that fits is opened once, and each that does not is refused with
// what was found and what was expected.
#include <stdlib.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "core/error.hpp"
#include "registry/registry.hpp"
#include "tests/support/plugins_in.hpp"
#include "tests/support/refused.hpp"
#include "tests/support/skips.hpp"
#include "tests/support/temporary_folder.hpp"

namespace loading_test {

namespace {

using namespace onnxport;
using Path = std::filesystem::path;

using test::Caught;
using test::caught;
using test::plugins_in;
using Folder = test::TemporaryFolder;

onnxport_host make_host(uint32_t major = ONNXPORT_ABI_MAJOR, uint32_t minor = ONNXPORT_ABI_MINOR) {
  onnxport_host host{};
  host.struct_size = sizeof host;
  host.abi_major = major;
  host.abi_minor = minor;
  return host;
}

Path fixture(const std::string& kind) {
  return Path(ONNXPORT_TEST_BINARY_DIR) / "abi" / ("plugins-" + kind);
}

/// Why load() refuses a fixture.
Caught load_failure(const std::string& kind) {
  const Registry registry = plugins_in({fixture(kind)});
  BOOST_REQUIRE_EQUAL(registry.candidates().size(), 1u);
  const Candidate& candidate = registry.candidates()[0];
  BOOST_TEST(candidate.reason == "");
  const onnxport_host host = make_host();
  const Caught failure = caught([&] { load(candidate, host); });
  BOOST_TEST((failure.failure == Failure::plugin));
  CHECK_HAS(failure.text, ".so: ");
  BOOST_TEST(!failure.hint.empty());
  return failure;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(loading)

BOOST_AUTO_TEST_CASE(a_plugin_in_c) {
  const Registry registry = plugins_in({fixture("c_linear")});
  const onnxport_host host = make_host();
  const LoadedPlugin& loaded = load(registry.find("c-linear"), host);
  BOOST_TEST(loaded.manifest->id == "org.onnxport.test.c-linear");
  BOOST_TEST(loaded.onnx_config->create != nullptr);
  BOOST_TEST(loaded.sha256 == loaded.manifest->sha256);
  BOOST_TEST(&load(registry.find("c-linear"), host) == &loaded, "a library is opened once");
}

BOOST_AUTO_TEST_CASE(a_plugin_of_another_compiler) {
  if (!std::filesystem::exists(fixture("c_linear_clang"))) return test::not_run("there was no clang at the build");
  const onnxport_host host = make_host();
  const Registry registry = plugins_in({fixture("c_linear_clang")});
  BOOST_TEST(load(registry.find("c-linear"), host).manifest->id == "org.onnxport.test.c-linear");
}

BOOST_AUTO_TEST_CASE(plugins_that_fail_later_load) {
  const onnxport_host host = make_host();
  for (const char* kind : {"throws", "error_in_create", "error_in_forward"}) {
    const Registry registry = plugins_in({fixture(kind)});
    BOOST_REQUIRE_EQUAL(registry.candidates().size(), 1u);
    BOOST_CHECK_NO_THROW(load(registry.candidates()[0], host));
  }
}

BOOST_AUTO_TEST_CASE(a_newer_host_loads_an_older_plugin) {
  const onnxport_host host = make_host(ONNXPORT_ABI_MAJOR, 99);
  const Registry registry = plugins_in({fixture("minor")});
  BOOST_CHECK_NO_THROW(load(registry.find("misfit"), host));
}

BOOST_AUTO_TEST_CASE(misfits) {
  CHECK_HAS(load_failure("major").text, "the plugin does not fit this host:\n  ABI major version: found 2, expected 1");
  CHECK_HAS(load_failure("vendor").text, "ABI vendor: found 'elsewhere', expected 'onnxport'");
  const std::string everything = load_failure("everything").text;
  CHECK_HAS(everything, "pointer width: found 32 bits, expected 64");
  CHECK_HAS(everything, "byte order mark: found 0x04030201, expected 0x01020304");
  CHECK_HAS(everything, "ABI major version: found 2, expected 1");
  CHECK_HAS(everything,
            "lowest ABI minor version that it needs: found 99, expected at most " + std::to_string(ONNXPORT_ABI_MINOR));
  CHECK_HAS(everything, "ABI vendor: found 'elsewhere', expected 'onnxport'");
  CHECK_HAS(load_failure("small_plugin").text, "found struct_size ");
  CHECK_HAS(load_failure("small_table").text, "its interface \"onnx-config\" 1 has struct_size ");
  CHECK_HAS(load_failure("no_forward").text, "lacks create, release, describe or forward, expected all four");
  CHECK_HAS(load_failure("no_interface").text, "does not offer the interface \"onnx-config\" 1");
  CHECK_HAS(load_failure("null_entry").text, "onnxport_plugin_entry gave null");
  CHECK_HAS(load_failure("no_symbol").text, "found no symbol onnxport_plugin_entry, expected it in every plugin");
}

BOOST_AUTO_TEST_CASE(a_newer_minor_version) {
  const onnxport_host host = make_host();
  const Registry registry = plugins_in({fixture("minor")});
  const Caught failure = caught([&] { load(registry.find("misfit"), host); });
  CHECK_HAS(failure.text,
            "lowest ABI minor version that it needs: found 99, expected at most " + std::to_string(ONNXPORT_ABI_MINOR));
}

BOOST_AUTO_TEST_CASE(a_library_unlike_its_manifest) {
  const std::string text = load_failure("lies").text;
  CHECK_HAS(text, "the library is not what its manifest says");
  CHECK_HAS(text, "version: found 9.9.9 in the library, expected 1.0.0 after the manifest");
  CHECK_HAS(text, "model types: found [lie] in the library, expected [misfit] after the manifest");
}

BOOST_AUTO_TEST_CASE(changed_and_corrupt_files) {
  const Caught changed = load_failure("wrong_sha256");
  CHECK_HAS(changed.text, "found sha256 ");
  CHECK_HAS(changed.text, "expected " + std::string(64, '0') + " after ");
  CHECK_HAS(load_failure("corrupt").text, "cannot be opened: ");
}

BOOST_AUTO_TEST_CASE(a_library_for_another_processor) {
  const Folder folder;
  std::filesystem::copy(fixture("c_linear") / "fixture_c_linear", folder.path);
  std::fstream file(folder.path / "libonnxport_fixture_c_linear.so", std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(18);
  file.write("\xf0\x7f", 2);
  file.close();
  std::ifstream in(folder.path / "plugin.yaml");
  std::string manifest{std::istreambuf_iterator<char>(in), {}};
  const size_t sum = manifest.find("sha256: ");
  manifest.erase(sum, manifest.find('\n', sum) - sum);
  std::ofstream(folder.path / "plugin.yaml") << manifest;
  const Registry registry = plugins_in({folder.path});
  BOOST_REQUIRE_EQUAL(registry.candidates().size(), 1u);
  const onnxport_host host = make_host();
  const Caught failure = caught([&] { load(registry.candidates()[0], host); });
  CHECK_HAS(failure.text, "cannot be opened: it is made for another processor: found ELF machine ");
}

BOOST_AUTO_TEST_CASE(exceptions_stop_at_the_boundary) {
  CHECK_HAS(load_failure("throws_in_entry").text,
            "onnxport_plugin_entry threw an exception (thrown in the entry function)");
  CHECK_HAS(load_failure("throws_in_interface").text, "get_interface threw an exception (thrown in get_interface())");
}

BOOST_AUTO_TEST_CASE(a_policy_holds_for_what_is_already_open) {
  const Folder folder;
  const onnxport_host host = make_host();
  const Registry free = plugins_in({fixture("c_linear")});
  const std::string sum = load(free.find("c-linear"), host).sha256;
  const auto policy = [&](const std::string& known) {
    return plugins_in({fixture("c_linear")},
                      folder.write("trust.yaml", "require: known-sha256\nsha256: [\"" + known + "\"]\n"));
  };
  BOOST_CHECK_NO_THROW(load(policy(sum).find("c-linear"), host));
  const Registry strict = policy(std::string(64, '0'));
  CHECK_HAS(caught([&] { strict.find("c-linear"); }).text, "which is not among those of the trust policy");
  Candidate forced = strict.candidates()[0];
  forced.state = CandidateState::usable;
  CHECK_HAS(caught([&] { load(forced, host); }).text, "which is not among those of the trust policy");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace loading_test
