// SPDX-License-Identifier: Apache-2.0
#include "tests/plugin/fields.hpp"

#include <boost/test/unit_test.hpp>
#include <set>

#include "docs/generate/field_uses.hpp"
#include "tests/plugin/fixture.hpp"

namespace onnxport::test {

void check_fields(const Candidate& plugin, const std::filesystem::path& file) {
  std::set<std::string> recorded;
  for (const ConfigClass& original : config_classes(file)) {
    recorded.insert(original.model_type);
    for (const std::string& field : uses_of_fields(FeaturesManager(built_plugins()), plugin, original).unread)
      BOOST_ERROR(original.model_type << ": " << original.name << " has the field " << field
                                      << ", and the plugin neither reads it nor says that it has no effect");
  }
  for (const Manifest::Model& model : plugin.manifest.models) {
    for (const std::string& type : model.types)
      BOOST_TEST(recorded.contains(type), file.string() << " lacks " << type << "; scripts/record/fields.py adds it");
  }
}

}  // namespace onnxport::test
