// SPDX-License-Identifier: Apache-2.0
// What a plugin's library says of itself, as the text of a manifest. onnxport_add_plugin() runs it after linking, so
// that the facts stand once, in the source.
//
//   onnxport_manifest LIBRARY             prints the facts
//   onnxport_manifest LIBRARY MANIFEST    compares a manifest that was written by hand with them; 1 where they differ
#include <dlfcn.h>
#include <onnxport/abi.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

/// A key of the manifest and the YAML that stands for it, its own line or lines.
struct Fact {
  std::string key, yaml;
};
using Facts = std::vector<Fact>;

std::string text(onnxport_string from) {
  return from.size == 0 ? std::string() : std::string(from.data, from.size);
}

/// As it is where every reader of YAML takes it for a text, else in quotes.
std::string scalar(const std::string& value) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_';
  };
  const bool is_word =
      !value.empty() && value[0] != '-' && value[0] != '.' && std::all_of(value.begin(), value.end(), is_plain);
  const bool is_number =
      value.find_first_not_of("0123456789.eE") == std::string::npos && std::count(value.begin(), value.end(), '.') < 2;
  const char* const other[] = {"true", "false", "null", "yes", "no", "on", "off"};
  const bool is_other = std::find(std::begin(other), std::end(other), value) != std::end(other);
  if (is_word && !is_number && !is_other) return value;
  std::string quoted = "\"";
  for (const char c : value) {
    if (static_cast<unsigned char>(c) < 0x20) throw std::runtime_error("'" + value + "' holds a control character");
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

std::string required(onnxport_string from, const char* what) {
  if (from.size == 0)
    throw std::runtime_error(std::string("'") + what + "' is empty; state it where the plugin is declared");
  return scalar(text(from));
}

std::string list(const onnxport_string* items, size_t count, const char* what) {
  if (count == 0) throw std::runtime_error(std::string("an entry of its models has no ") + what);
  std::string joined;
  for (size_t i = 0; i < count; ++i) joined += (i == 0 ? "" : ", ") + required(items[i], what);
  return "[" + joined + "]";
}

std::string gap(const onnxport_known_gap& from) {
  std::string yaml;
  const std::pair<const char*, onnxport_string> parts[] = {
      {"architecture", from.architecture}, {"feature", from.feature}, {"option", from.option}};
  for (const auto& [key, value] : parts) {
    if (value.size > 0) yaml += std::string(key) + ": " + scalar(text(value)) + "\n        ";
  }
  if (yaml.empty()) throw std::runtime_error("a known gap names no architecture, feature or option");
  return "      - " + yaml + "reason: " + required(from.reason, "reason") + "\n";
}

std::string model(const onnxport_model& from) {
  std::string yaml = "  - types: " + list(from.model_types, from.model_type_count, "types") +
                     "\n    features: " + list(from.features, from.feature_count, "features") + "\n";
  if (from.architecture_count > 0) yaml += "    architectures:\n";
  for (size_t i = 0; i < from.architecture_count; ++i) {
    const onnxport_architecture& one = from.architectures[i];
    yaml += "      " + required(one.name, "architectures") + ": " + required(one.feature, "architectures") + "\n";
  }
  const bool has_gaps = from.struct_size >= offsetof(onnxport_model, known_gap_count) + sizeof from.known_gap_count &&
                        from.known_gap_count > 0;
  if (has_gaps) {
    yaml += "    known_gaps:\n";
    for (size_t i = 0; i < from.known_gap_count; ++i) yaml += gap(from.known_gaps[i]);
  }
  return yaml;
}

/// The library stays open until the program ends.
const onnxport_plugin& open(const char* library) {
  // A name without a slash would be looked for where the system has its libraries.
  const std::string path = std::string(library).find('/') == std::string::npos ? std::string("./") + library : library;
  void* const handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) throw std::runtime_error(::dlerror());
  void* const symbol = ::dlsym(handle, ONNXPORT_ENTRY_SYMBOL);
  if (symbol == nullptr)
    throw std::runtime_error("there is no symbol " ONNXPORT_ENTRY_SYMBOL
                             "; declare the plugin with ONNXPORT_PLUGIN, or "
                             "export the function from C");
  const onnxport_plugin* const plugin = reinterpret_cast<onnxport_plugin_entry_fn>(symbol)();
  if (plugin == nullptr) throw std::runtime_error(ONNXPORT_ENTRY_SYMBOL " gave null, expected the plugin's data");
  const onnxport_magic& magic = plugin->magic;
  if (plugin->struct_size < offsetof(onnxport_plugin, get_interface) || magic.pointer_bits != sizeof(void*) * 8 ||
      magic.endian_mark != ONNXPORT_ENDIAN_MARK || magic.abi_major != ONNXPORT_ABI_MAJOR ||
      std::strncmp(magic.vendor, ONNXPORT_ABI_VENDOR, sizeof magic.vendor) != 0)
    throw std::runtime_error("it was built for another ABI than this SDK's; build it again with this SDK");
  return *plugin;
}

Facts facts_of(const onnxport_plugin& plugin) {
  const auto line = [](const char* key, const std::string& value) { return Fact{key, key + (": " + value) + "\n"}; };
  Facts facts{line("id", required(plugin.id, "id")),
              line("name", required(plugin.name, "name")),
              line("version", required(plugin.version, "version")),
              line("license", required(plugin.license, "license")),
              line("vendor", required(plugin.vendor, "vendor")),
              line("abi", "\"" + std::to_string(plugin.magic.abi_major) + "." +
                              std::to_string(plugin.magic.abi_minor_needed) + "\"")};
  std::string models = "models:\n";
  for (size_t i = 0; i < plugin.model_count; ++i) models += model(*plugin.models[i]);
  facts.push_back({"models", models});
  return facts;
}

/// The words of some YAML, without what only gives it its form: a list in lines and one in brackets have the same.
std::string words_of(const std::string& yaml) {
  std::string words;
  char quote = 0;
  for (size_t i = 0; i < yaml.size(); ++i) {
    const char c = yaml[i], before = i == 0 ? '\n' : yaml[i - 1];
    const bool begins = before == ' ' || before == '\n';
    if (quote != 0 && c == '\\' && quote == '"') continue;
    if (quote != 0 ? c == quote && before != '\\' : c == '"' || c == '\'') {
      quote = quote != 0 ? 0 : c;
      continue;
    }
    if (quote == 0 && c == '#' && begins) {
      while (i + 1 < yaml.size() && yaml[i + 1] != '\n') ++i;
      continue;
    }
    const bool is_dash = c == '-' && begins && i + 1 < yaml.size() && (yaml[i + 1] == ' ' || yaml[i + 1] == '\n');
    const bool separates = is_dash || std::strchr(" \n\r[]{},", c) != nullptr;
    if (!separates)
      words += c;
    else if (!words.empty() && words.back() != ' ')
      words += ' ';
  }
  while (!words.empty() && words.back() == ' ') words.pop_back();
  return words;
}

/// The top-level keys of a manifest with what stands below each.
Facts sections_of(const std::string& manifest) {
  Facts sections;
  for (size_t at = 0; at < manifest.size();) {
    const size_t end = std::min(manifest.find('\n', at), manifest.size() - 1) + 1;
    const std::string line = manifest.substr(at, end - at);
    at = end;
    const bool begins = std::strchr(" #-\n", line[0]) == nullptr;
    if (begins)
      sections.push_back({line.substr(0, line.find(':')), line});
    else if (!sections.empty())
      sections.back().yaml += line;
  }
  return sections;
}

/// What the manifest says otherwise than the library, a line each; empty where they agree.
std::string differences(const Facts& facts, const Facts& written) {
  std::string found;
  const auto find = [](const Facts& in, const std::string& key) {
    return std::find_if(in.begin(), in.end(), [&](const Fact& fact) { return fact.key == key; });
  };
  for (const Fact& fact : facts) {
    const auto other = find(written, fact.key);
    if (other == written.end()) {
      if (fact.key != "abi")
        found += "  " + fact.key + ": not in the manifest, expected '" + words_of(fact.yaml) + "'\n";
    } else if (words_of(other->yaml) != words_of(fact.yaml)) {
      found += "  found '" + words_of(other->yaml) + "', expected '" + words_of(fact.yaml) + "' after the library\n";
    }
  }
  for (const Fact& fact : written) {
    // What config.json files without a model_type are told by is for the manifest to say.
    if (find(facts, fact.key) == facts.end() && fact.key != "recognised_by")
      found += "  " + fact.key + ": no fact of a plugin\n";
  }
  return found;
}

int run(const char* library, const char* manifest) {
  const Facts facts = facts_of(open(library));
  if (manifest == nullptr) {
    for (const Fact& fact : facts) std::fputs(fact.yaml.c_str(), stdout);
    return 0;
  }
  std::ifstream file(manifest);
  if (!file) throw std::runtime_error(std::string(manifest) + " cannot be read");
  const std::string written((std::istreambuf_iterator<char>(file)), {});
  const std::string found = differences(facts, sections_of(written));
  if (found.empty()) return 0;
  std::fprintf(stderr, "%s is not what the library says:\n%scorrect it, or remove it and let the build write it\n",
               manifest, found.c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) {
    std::fputs("usage: onnxport_manifest LIBRARY [MANIFEST]\n", stderr);
    return 2;
  }
  try {
    return run(argv[1], argc == 3 ? argv[2] : nullptr);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", argv[1], error.what());
  } catch (...) {
    std::fprintf(stderr, "%s: it threw something that is no std::exception\n", argv[1]);
  }
  return 1;
}
