// SPDX-License-Identifier: Apache-2.0
#include "core/inspect/runtime.hpp"

#include <fmt/format.h>

#include <charconv>
#include <map>
#include <set>

#include "core/error.hpp"

namespace onnxport::inspect {
namespace {

constexpr const char* onnxruntime = "onnxruntime";

/// The newest file format and opset that a minor version loads. Measured with the packages of PyPI on files of one
/// node, for each version of the format and of the opset; before 1.15 by the table of its documentation, and of the
/// file format only what all of these versions read.
struct Release {
  int minor;
  int64_t ir_version, opset;
};
constexpr Release releases[] = {{7, 7, 13},   {8, 7, 14},   {9, 7, 15},   {11, 7, 16},  {12, 7, 17},  {13, 8, 17},
                                {14, 8, 18},  {15, 9, 19},  {16, 9, 19},  {17, 9, 20},  {18, 10, 21}, {19, 10, 21},
                                {20, 10, 21}, {21, 10, 22}, {22, 10, 22}, {23, 11, 23}, {24, 13, 25}, {25, 13, 26}};

/// Operators of an opset that a version knows and has no CPU kernel for: measured as above.
struct Kernel {
  const char* op;
  int64_t since_opset;
  int minor;  // the first with a kernel
};
constexpr Kernel kernels[] = {
    {"Pad", 19, 16}, {"AveragePool", 19, 16}, {"DeformConv", 19, 25}, {"TensorScatter", 24, 25}};

const Release& release_of(const Runtime& runtime) {
  const Release* found = &releases[0];
  for (const Release& release : releases) {
    if (release.minor <= runtime.minor) found = &release;
  }
  return *found;
}

}  // namespace

std::string to_text(const Runtime& runtime) {
  return fmt::format("{}={}.{}", runtime.name, runtime.major, runtime.minor);
}

Readable readable_by(const Runtime& runtime) {
  const Release& release = release_of(runtime);
  return {release.ir_version, release.opset};
}

namespace {

void collect(const google::protobuf::RepeatedPtrField<pb::NodeProto>& nodes,
             std::map<std::string, std::vector<std::string>>& places) {
  for (const auto& node : nodes) {
    if (node.domain().empty() || node.domain() == "ai.onnx") places[node.op_type()].push_back(node.name());
    for (const auto& attribute : node.attribute()) {
      if (attribute.has_g()) collect(attribute.g().node(), places);
      for (const auto& graph : attribute.graphs()) collect(graph.node(), places);
    }
  }
}

[[noreturn]] void refuse(const std::string& text) {
  throw Error(Failure::usage, fmt::format("--runtime {} is not known", text),
              fmt::format("known is {}=1.{} and later, such as {}=1.20", onnxruntime, releases[0].minor, onnxruntime));
}

}  // namespace

Runtime runtime_from(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || text.substr(0, equals) != onnxruntime) refuse(text);
  Runtime runtime{onnxruntime};
  const char *at = text.data() + equals + 1, *end = text.data() + text.size();
  const auto major = std::from_chars(at, end, runtime.major);
  if (major.ec != std::errc() || major.ptr == end || *major.ptr != '.') refuse(text);
  const auto minor = std::from_chars(major.ptr + 1, end, runtime.minor);
  if (minor.ec != std::errc() || (minor.ptr != end && *minor.ptr != '.')) refuse(text);
  if (runtime.major != 1 || runtime.minor < releases[0].minor) refuse(text);
  return runtime;
}

std::vector<Finding> lacks_of(const Runtime& runtime, const pb::ModelProto& model) {
  const std::string name = fmt::format("ONNX Runtime {}.{}", runtime.major, runtime.minor);
  const Release& release = release_of(runtime);
  std::vector<Finding> found;
  const auto lacks = [&](const std::string& text, std::vector<std::string> places = {}) {
    found.push_back({"runtime-lacks", Finding::Weight::error, name + " " + text, std::move(places)});
  };
  if (model.ir_version() > release.ir_version) {
    lacks(fmt::format("reads files up to IR version {}, and this one has {}: export for an older opset",
                      release.ir_version, model.ir_version()));
  }
  int64_t opset = 0;
  for (const auto& import : model.opset_import()) {
    if (import.domain().empty() || import.domain() == "ai.onnx") opset = import.version();
  }
  if (opset > release.opset)
    lacks(fmt::format("knows opsets up to {}, and this file has {}: export with --opset {}", release.opset, opset,
                      release.opset));
  std::map<std::string, std::vector<std::string>> places;
  collect(model.graph().node(), places);
  for (const auto& function : model.functions()) collect(function.node(), places);
  for (const Kernel& kernel : kernels) {
    const auto uses = places.find(kernel.op);
    if (uses != places.end() && opset >= kernel.since_opset && runtime.minor < kernel.minor) {
      lacks(fmt::format("has no kernel on the CPU for {} of opset {}: export with --opset {}, or take 1.{}", kernel.op,
                        kernel.since_opset, kernel.since_opset - 1, kernel.minor),
            uses->second);
    }
  }
  return found;
}

}  // namespace onnxport::inspect
