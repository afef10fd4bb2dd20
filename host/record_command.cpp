// SPDX-License-Identifier: Apache-2.0
// onnxport record: the Python that records what an original model answers, as one file.
#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/error.hpp"
#include "core/program_file.hpp"
#include "host/commands.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

/// The modules that the program imports, each behind those that it needs.
const char* const modules[] = {"signals", "models", "inputs"};

std::string text_of(const std::string& name) {
  const fs::path program = program_file().parent_path();
  const fs::path file = program / "../share/onnxport/record" / (name + ".py");
  std::ifstream in(file, std::ios::binary);
  if (!in) {
    throw Error(Failure::usage, fmt::format("there is no {}", file.lexically_normal().string()),
                "install onnxport whole: the recorder is in its share/onnxport/record");
  }
  return {std::istreambuf_iterator<char>(in), {}};
}

/// A text as Python has it: JSON's escapes are among Python's.
std::string literal(const std::string& text) {
  return nlohmann::json(text).dump();
}

}  // namespace

int run_record(Console& console) {
  std::string program =
      "#!/usr/bin/env python3\n"
      "# Records what an original model answers, as cases for `onnxport validate --case`, `onnxport plugins check "
      "--run` and\n"
      "# a plugin's tests. Printed by `onnxport record`; `python record.py --help` lists its options.\n"
      "import sys\nimport types\n\n"
      "for name in " +
      literal("signals models inputs") + ".split():\n    sys.modules[name] = types.ModuleType(name)\n\n";
  for (const char* name : modules) {
    program += fmt::format("exec(compile({}, {}, \"exec\"), sys.modules[{}].__dict__)\n", literal(text_of(name)),
                           literal(std::string(name) + ".py"), literal(name));
  }
  program += "\n" + text_of("record");
  console.result()["program"] = program;
  console.result()["status"] = "ok";
  std::istringstream lines(program);
  for (std::string line; std::getline(lines, line);) console.line(line);
  return 0;
}

}  // namespace onnxport
