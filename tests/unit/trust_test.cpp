// SPDX-License-Identifier: Apache-2.0
// Policies: what they know and deny, how several agree, how they are added to; and publishers' signatures.
#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "core/error.hpp"
#include "registry/places.hpp"
#include "registry/signature.hpp"
#include "registry/trust_edit.hpp"
#include "tests/support/temporary_folder.hpp"

namespace trust_test {

using namespace onnxport;
namespace fs = std::filesystem;

namespace {

const std::string sum_1(64, '1'), sum_2(64, '2');

struct Folder : test::TemporaryFolder {
  TrustPolicy policy(const std::string& text) const { return TrustPolicy::read(write("trust.yaml", text)); }
};

Subject acme() {
  return {.what = "plugin",
          .id = "com.acme.encoder",
          .folder = "/opt/acme/encoder",
          .file = "/opt/acme/encoder/lib.so",
          .sha256 = sum_1};
}

std::string refusal(const TrustPolicy& policy, const Subject& subject) {
  const auto found = policy.check(subject);
  return found ? found->cause : "";
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(policies, Folder)

BOOST_AUTO_TEST_CASE(any_of_what_is_known_suffices) {
  const std::string id = "require: known\nids: [com.acme.*]\n", sum = "require: known\nsha256: [\"" + sum_1 + "\"]\n",
                    directory = "require: known\ndirectories: [/opt]\n";
  for (const std::string& text : {id, sum, directory}) BOOST_TEST(refusal(policy(text), acme()) == "", text);
  BOOST_TEST(policy(id).granted_by(acme()) == "its id is known: com.acme.*");
  BOOST_TEST(policy(directory).granted_by(acme()) == "its directory is known: /opt");
  const std::string refused = refusal(policy("require: known\nids: [com.acme]\n"), acme());
  BOOST_TEST(contains(refused, "com.acme.encoder"), refused);
  BOOST_TEST(contains(refused, sum_1), refused);
}

BOOST_AUTO_TEST_CASE(all_that_is_required_must_be_known) {
  const std::string both = "require: [known-id, known-sha256]\nids: [com.acme.encoder]\nsha256: [\"";
  BOOST_TEST(refusal(policy(both + sum_1 + "\"]\n"), acme()) == "");
  BOOST_TEST(contains(refusal(policy(both + sum_2 + "\"]\n"), acme()), "found sha256 " + sum_1));
  BOOST_TEST(contains(message_of([&] { policy("require: [known-id, none]\n"); }), "'require' is 'none'"));
}

BOOST_AUTO_TEST_CASE(what_is_denied_is_never_loaded) {
  const std::string rules[] = {"ids: [com.acme.*]", "sha256: [\"" + sum_1 + "\"]", "directories: [/opt/acme]"};
  for (const std::string& rule : rules) {
    const std::string found = refusal(policy("require: known\nids: ['*']\ndeny: {" + rule + "}\n"), acme());
    BOOST_TEST(contains(found, "denied by the trust policy"), rule << ": " << found);
  }
  BOOST_TEST(refusal(policy("require: none\ndeny: {ids: [com.other.*]}\n"), acme()) == "");
  BOOST_TEST(refusal(policy("require: none\ndeny: {ids: [com.acm*]}\n"), acme()).find("denied by") !=
             std::string::npos);
  BOOST_TEST(contains(message_of([&] { policy("require: none\ndeny: {id: []}\n"); }), "unknown key 'id' in deny"));
}

BOOST_AUTO_TEST_CASE(a_users_policy_tightens_that_of_the_machine_and_does_not_loosen_it) {
  const fs::path machine = write("machine.yaml", "require: known\nids: [com.acme.*]\n");
  const auto both = [&](const std::string& users) {
    SearchOptions options;
    options.machine_policies = {machine, path / "none.yaml"};
    options.trust_file = write("user.yaml", users);
    return find_trust(options);
  };
  Subject other = acme();
  other.id = "com.other.encoder";
  BOOST_TEST(!both("require: none\n")->check(acme()).has_value());
  const auto loosened = both("require: none\nids: [com.other.*]\n")->check(other);
  BOOST_REQUIRE(loosened.has_value());
  BOOST_TEST(contains(loosened->cause, "machine.yaml"), loosened->cause);
  BOOST_TEST(both("require: known\nids: [com.other.*]\n")->check(acme()).has_value());
  const auto decisions = both("require: none\n")->decide(acme());
  BOOST_REQUIRE(decisions.size() == 2u);
  BOOST_TEST(decisions[0].by == "its id is known: com.acme.*");
  BOOST_TEST(decisions[1].by == "nothing is required");
  // One that cannot be read is not passed over.
  write("machine.yaml", "require: [");
  BOOST_TEST(contains(message_of([&] { both("require: none\n"); }), "machine.yaml"));
}

BOOST_AUTO_TEST_CASE(entries_are_added_and_all_else_stays) {
  const auto added = [&](const std::string& before, const TrustEntry& entry) {
    const fs::path file = write("trust.yaml", before);
    BOOST_TEST(add_to_policy(file, entry));
    BOOST_TEST(!add_to_policy(file, entry), "it is there already");
    return read("trust.yaml");
  };
  const TrustEntry sum{TrustRule::sha256, sum_1, "com.acme.encoder 1.0"};
  BOOST_TEST(added("require: known  # as agreed\n", sum) ==
             "require: known  # as agreed\nsha256:\n  - \"" + sum_1 + "\"  # com.acme.encoder 1.0\n");
  BOOST_TEST(added("sha256:\n    - \"" + sum_2 + "\"  # first\n# last\nrequire: known\n", sum) ==
             "sha256:\n    - \"" + sum_2 + "\"  # first\n    - \"" + sum_1 +
                 "\"  # com.acme.encoder 1.0\n# last\nrequire: known\n");
  BOOST_TEST(added("require: known\nsha256: []\n", sum) == "require: known\nsha256: [\"" + sum_1 + "\"]\n");
  BOOST_TEST(added("require: known\nids: [a.b]\n", {TrustRule::id, "c.d", ""}) ==
             "require: known\nids: [a.b, \"c.d\"]\n");
  const fs::path odd = write("trust.yaml", "require: known\nids: [\n  a.b]\n");
  BOOST_TEST(contains(message_of([&] { add_to_policy(odd, {TrustRule::id, "c.d", ""}); }), "not changed by a program"));
  make_policy(path / "made/trust.yaml", {"/usr/lib/onnxport"});
  BOOST_TEST(TrustPolicy::read(path / "made/trust.yaml").requires_any());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(signatures, Folder)

BOOST_AUTO_TEST_CASE(what_is_signed_verifies_until_it_changes) {
  const fs::path manifest = write("plugin.yaml", "id: com.acme.encoder\n");
  BOOST_TEST(!verify_publisher(manifest).has_value());
  const SigningKey key = SigningKey::make(path / "key.pem");
  BOOST_TEST(SigningKey::read(path / "key.pem").publisher() == key.publisher());
  BOOST_TEST(key.sign(manifest) == path / "plugin.yaml.sig");
  BOOST_TEST(verify_publisher(manifest).value() == key.publisher());

  Subject subject = acme();
  subject.publisher = key.publisher();
  const TrustPolicy known = policy("require: known-publisher\npublishers: [\"" + key.publisher() + "\"]\n");
  BOOST_TEST(known.names_publishers());
  BOOST_TEST(refusal(known, subject) == "");
  BOOST_TEST(contains(refusal(known, acme()), "not signed"));
  subject.publisher = SigningKey::make(path / "other.pem").publisher();
  BOOST_TEST(contains(refusal(known, subject), "signed by " + subject.publisher));

  write("plugin.yaml", "id: com.evil.encoder\n");
  BOOST_TEST(contains(message_of([&] { verify_publisher(manifest); }), "found other bytes than plugin.yaml.sig"));
}

/// RFC 8032's first test: a key, here as OpenSSL writes it, signs the empty text.
BOOST_AUTO_TEST_CASE(keys_and_signatures_are_those_of_others) {
  const fs::path key = write(
      "key.pem",
      "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE "
      "KEY-----\n");
  ::chmod(key.c_str(), 0600);
  BOOST_TEST(SigningKey::read(key).publisher() == "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
  SigningKey::read(key).sign(write("empty", ""));
  BOOST_TEST(contains(read("empty.sig"),
                      "ed25519: 5VZDAMNgrHKQhuLMgG6CioSHfx645dl02HPgZSJJAVVfuIIVkKM7rMYeOXAc+bRr0lv18FlbviRlUUFDjnoQ"
                      "Cw==\n"));
  ::chmod(key.c_str(), 0644);
  BOOST_TEST(contains(message_of([&] { SigningKey::read(key); }), "found mode 0644"));
  const fs::path text = write("text.pem", "no key");
  ::chmod(text.c_str(), 0600);
  BOOST_TEST(contains(message_of([&] { SigningKey::read(text); }), "found no private Ed25519 key"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace trust_test
