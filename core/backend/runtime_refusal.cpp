// SPDX-License-Identifier: Apache-2.0
#include "core/backend/runtime_refusal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <regex>

namespace onnxport {
namespace {

/// A form in which ONNX Runtime names a node: which of its groups are the operator and the name.
struct NodeForm {
  const char* pattern;
  size_t op, name;
};
constexpr NodeForm node_forms[] = {
    {R"(while running (\w+) node\. Name:'([^']*)')", 1, 2},
    {R"(implementation for (\w+)\(\d+\) node with name '([^']*)')", 1, 2},
    {R"(Node \(([^)]*)\) Op \((\w+)\))", 2, 1},
    {R"re(In Node, \("([^"]*)", (\w+))re", 2, 1},
    {R"(operator \((\w+)\) in node \(([^)]*)\))", 1, 2},
};

/// Words by which a refusal is known, and what helps.
struct Remedy {
  const char* words;
  const char* hint;
};
constexpr const char* frozen_axis =
    "two shapes do not fit at that node: an axis that it was built for is frozen (`onnxport inspect FILE` tells which)";

constexpr Remedy remedies[] = {
    {"RegisterCustomOps", "--custom-ops takes a library that registers kernels with ONNX Runtime"},
    {"Could not find an implementation",
     "this version has no kernel for it: export with a lower --opset or another --dtype, or install a newer ONNX "
     "Runtime "
     "(`onnxport inspect FILE --runtime onnxruntime=1.N` tells what a version lacks)"},
    {"Unsupported model IR version",
     "the file's format is newer than this ONNX Runtime: export with a lower --opset, or install a newer version"},
    {"is under development",
     "the file's opset is newer than this ONNX Runtime: export with a lower --opset, or install a newer version"},
    {"is not a registered function/op",
     "this ONNX Runtime does not know the operator: export with a lower --opset, or install a newer version"},
    {"Got invalid dimensions for input",
     "the file takes that input in one length only: its axis was fixed when it was exported"},
    {"External data path",
     "the weights have to lie in the model's own folder, or below it: move them beside the model"},
    {"model_path must not be empty", "the weights lie in files, which have to be beside the model"},
    {"Failed to allocate memory",
     "it takes more memory than there is: compare shorter inputs, or give the process more"},
    {"BroadcastIterator", frozen_axis},
    {"Attempting to broadcast an axis", frozen_axis},
    {"cannot be reshaped",
     "a shape is built in that does not fit these inputs: an axis is frozen (`onnxport inspect FILE` tells which)"},
    {"indices element out of data bounds",
     "an index is beyond the end of a table: the inputs hold an id, or a position, that the model does not have"},
};

/// "encoder.layer.0" of "/encoder/layer.0/MatMul".
std::string module_in(const std::string& node) {
  if (!node.starts_with('/')) return {};
  std::string module = node.substr(1, node.rfind('/') - std::min<size_t>(1, node.rfind('/')));
  std::replace(module.begin(), module.end(), '/', '.');
  return node.rfind('/') == 0 ? std::string() : module;
}

/// " in the node /a/b/Add (Add), module a.b"; empty where no node is named.
std::string place_in(const std::string& said) {
  for (const NodeForm& form : node_forms) {
    std::smatch found;
    if (!std::regex_search(said, found, std::regex(form.pattern))) continue;
    const std::string op = found[form.op], name = found[form.name], module = module_in(name);
    return fmt::format(" at {}{}{}", op, name.empty() ? "" : " " + name,
                       module.empty() ? "" : fmt::format(" (module {})", module));
  }
  return {};
}

/// Whether an operator that is not known is neither ONNX's nor ONNX Runtime's own.
bool is_of_another_domain(const std::string& said) {
  static const std::regex unknown(R"(([\w.]+):\w+\(-?\d+\) is not a registered function/op)");
  std::smatch found;
  if (!std::regex_search(said, found, unknown)) return false;
  const std::string domain = found[1];
  return !domain.starts_with("ai.onnx") && !domain.starts_with("com.microsoft");
}

/// Without the paths of the library's own sources and the names of its functions.
std::string without_sources(const std::string& said) {
  static const std::regex source(R"((/[\w./-]+\.(cc|h|cpp|hpp):\d+ )[^\n]*?\) )");
  std::string text = std::regex_replace(said, source, "");
  text.erase(text.find_last_not_of(" \n") + 1);
  return text;
}

}  // namespace

Error runtime_refusal(const std::string& doing, const std::string& said) {
  const auto remedy = std::find_if(std::begin(remedies), std::end(remedies),
                                   [&](const Remedy& known) { return said.find(known.words) != std::string::npos; });
  std::string hint = remedy == std::end(remedies) ? "" : remedy->hint;
  if (is_of_another_domain(said))
    hint = "it is an operator of its maker's: name the library that registers its kernel with --custom-ops LIB";
  return Error(Failure::differs, fmt::format("{}{}: {}", doing, place_in(said), without_sources(said)), hint);
}

}  // namespace onnxport
