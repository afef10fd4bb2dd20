// SPDX-License-Identifier: Apache-2.0
// One function a check; the table at the end lists them.
#include "core/inspect/findings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <map>
#include <set>

#include "core/format_bytes.hpp"
#include "core/inspect/axis_faults.hpp"

namespace onnxport::inspect {
namespace {

using Findings = std::vector<Finding>;
using Weight = Finding::Weight;

constexpr uint64_t worth_telling = 16 * 1024;  // bytes

Findings missing_data(const Subject& subject) {
  TensorBytes bytes(subject.file);
  Findings found;
  std::map<std::string, size_t> by_text;
  for (const StoredTensor& tensor : subject.tensors) {
    const std::string problem = bytes.problem(*tensor.tensor);
    if (problem.empty()) continue;
    const auto [known, is_new] = by_text.emplace(problem, found.size());
    if (is_new) found.push_back({"missing-data", Weight::error, "a weight has no data: " + problem});
    found[known->second].places.push_back(tensor.name);
  }
  return found;
}

/// Names that a graph's nodes may use, with those of the graphs around.
void find_undefined(const pb::GraphProto& graph, std::set<std::string> known, Finding& finding) {
  for (const auto& input : graph.input()) known.insert(input.name());
  for (const auto& tensor : graph.initializer()) known.insert(tensor.name());
  for (const auto& tensor : graph.sparse_initializer()) known.insert(tensor.values().name());
  for (const auto& node : graph.node()) {
    for (const std::string& input : node.input()) {
      if (!input.empty() && !known.contains(input))
        finding.places.push_back(fmt::format("{} of {} {}", input, node.op_type(), node.name()));
    }
    for (const auto& attribute : node.attribute()) {
      if (attribute.has_g()) find_undefined(attribute.g(), known, finding);
      for (const auto& body : attribute.graphs()) find_undefined(body, known, finding);
    }
    known.insert(node.output().begin(), node.output().end());
  }
  for (const auto& output : graph.output()) {
    if (!known.contains(output.name())) finding.places.push_back("output " + output.name());
  }
}

Findings undefined_values(const Subject& subject) {
  Finding finding{"undefined-value", Weight::error, "nothing in the file yields what a node or an output takes"};
  find_undefined(subject.file.model.graph(), {}, finding);
  return finding.places.empty() ? Findings{} : Findings{finding};
}

/// The same bytes at all places where one looks: pages spread over the tensor, its begin and its end.
bool look_alike(std::span<const std::byte> a, std::span<const std::byte> b) {
  constexpr size_t places = 64, piece = 64;
  if (a.size() != b.size()) return false;
  if (a.size() <= places * piece) return std::equal(a.begin(), a.end(), b.begin());
  for (size_t i = 0; i < places; ++i) {
    const size_t at = (a.size() - piece) / (places - 1) * i;
    if (std::memcmp(a.data() + at, b.data() + at, piece) != 0) return false;
  }
  return std::memcmp(a.data() + a.size() - piece, b.data() + b.size() - piece, piece) == 0;
}

Findings duplicated_weights(const Subject& subject) {
  TensorBytes bytes(subject.file);
  struct Group {
    std::span<const std::byte> bytes;
    std::vector<std::string> names;
    std::set<const std::byte*> copies;
  };
  std::map<std::pair<int32_t, uint64_t>, std::vector<Group>> by_size;
  for (const StoredTensor& tensor : subject.tensors) {
    if (tensor.bytes() < worth_telling) continue;
    const auto held = bytes.of(*tensor.tensor);
    if (!held) continue;
    std::vector<Group>& groups = by_size[{tensor.tensor->data_type(), held->size()}];
    auto alike = std::find_if(groups.begin(), groups.end(), [&](const Group& group) {
      return group.bytes.data() == held->data() || look_alike(group.bytes, *held);
    });
    if (alike == groups.end()) alike = groups.insert(groups.end(), Group{*held, {}, {}});
    // The same place under two names is no copy.
    if (alike->copies.insert(held->data()).second) alike->names.push_back(tensor.name);
  }
  Findings found;
  for (const auto& [size, groups] : by_size) {
    for (const Group& group : groups) {
      if (group.copies.size() < 2) continue;
      const uint64_t wasted = group.bytes.size() * (group.copies.size() - 1);
      found.push_back({"duplicated-weights", Weight::note,
                       fmt::format("{} tensors of {} are alike wherever they were sampled: one of them would do",
                                   group.copies.size(), format_bytes(group.bytes.size())),
                       group.names, wasted});
    }
  }
  std::stable_sort(found.begin(), found.end(), [](const Finding& a, const Finding& b) { return a.bytes > b.bytes; });
  return found;
}

Findings wide_constants(const Subject& subject) {
  Finding doubles{"wide-constants", Weight::note, ""}, integers = doubles;
  for (const StoredTensor& tensor : subject.tensors) {
    if (elements_of(*tensor.tensor) < 2 || tensor.bytes() < kept_bytes) continue;
    const int32_t type = tensor.tensor->data_type();
    if (type != pb::TensorProto::DOUBLE && type != pb::TensorProto::INT64) continue;
    Finding& finding = type == pb::TensorProto::DOUBLE ? doubles : integers;
    finding.places.push_back(tensor.name);
    finding.bytes += tensor.bytes() / 2;
  }
  doubles.text = "tensors of doubles take twice what f32 takes, and pull what they meet to 64 bits";
  integers.text = "tables of 64-bit integers are stored that could be computed, or be 32 bits wide";
  Findings found;
  for (const Finding& finding : {doubles, integers}) {
    if (!finding.places.empty()) found.push_back(finding);
  }
  return found;
}

Findings weights_in_nodes(const Subject& subject) {
  Finding finding{
      "constant-nodes", Weight::note,
      "tensors stand in Constant nodes and should be initializers: runtimes neither map nor share them there"};
  for (const StoredTensor& tensor : subject.tensors) {
    if (!tensor.in_node || tensor.bytes() < kept_bytes) continue;
    finding.places.push_back(tensor.name);
    finding.bytes += tensor.bytes();
  }
  return finding.places.empty() ? Findings{} : Findings{finding};
}

bool is_no_name(const std::string& name) {
  return std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isdigit(c) != 0; }) ||
         name.find("::") != std::string::npos;
}

Findings outputs_without_names(const Subject& subject) {
  Finding finding{"unnamed-output", Weight::note,
                  "outputs have numbers for names, so that no program can ask for them"};
  for (const auto& output : subject.file.model.graph().output()) {
    if (is_no_name(output.name())) finding.places.push_back(output.name());
  }
  return finding.places.empty() ? Findings{} : Findings{finding};
}

/// An input axis whose declared name is a sum where each part is an axis as well: right for a mask over past and
/// present, wrong for the past itself, which alone decides how long it is.
Findings misnamed_axes(const Subject& subject) {
  std::set<std::string> own;
  for (const auto& input : subject.file.model.graph().input()) {
    for (const auto& dim : input.type().tensor_type().shape().dim()) {
      if (dim.has_dim_param() && is_plain_name(dim.dim_param())) own.insert(dim.dim_param());
    }
  }
  Finding finding{"axis-name", Weight::note,
                  "an input's axis is named as a sum with a length that no axis has by itself: clients cannot tell it"};
  for (const OpenAxis& axis : subject.sizable.axes()) {
    if (!own.contains(axis.name) && axis.name != axis.place)
      finding.places.push_back(fmt::format("{} of {}", axis.name, axis.place));
  }
  return finding.places.empty() ? Findings{} : Findings{finding};
}

void collect_uses(const pb::GraphProto& graph, std::set<std::string>& uses) {
  for (const auto& node : graph.node()) {
    uses.insert(node.input().begin(), node.input().end());
    for (const auto& attribute : node.attribute()) {
      if (attribute.has_g()) collect_uses(attribute.g(), uses);
      for (const auto& body : attribute.graphs()) collect_uses(body, uses);
    }
  }
  for (const auto& output : graph.output()) uses.insert(output.name());
}

Findings unused_parts(const Subject& subject) {
  const pb::GraphProto& graph = subject.file.model.graph();
  std::set<std::string> uses, weights;
  collect_uses(graph, uses);
  Finding unused_inputs{"unused-input", Weight::note, "inputs have no effect"};
  Finding unused_weights{"unused-weight", Weight::note, "weights are stored that no node uses"};
  for (const auto& tensor : graph.initializer()) {
    weights.insert(tensor.name());
    if (uses.contains(tensor.name())) continue;
    unused_weights.places.push_back(tensor.name());
    unused_weights.bytes += bytes_of(tensor);
  }
  for (const auto& input : graph.input()) {
    if (!weights.contains(input.name()) && !uses.contains(input.name())) unused_inputs.places.push_back(input.name());
  }
  Findings found;
  for (const Finding& finding : {unused_inputs, unused_weights}) {
    if (!finding.places.empty()) found.push_back(finding);
  }
  return found;
}

using Check = Findings (*)(const Subject&);
constexpr Check checks[] = {missing_data,     undefined_values,      axis_faults,   duplicated_weights, wide_constants,
                            weights_in_nodes, outputs_without_names, misnamed_axes, unused_parts};

}  // namespace

std::vector<Finding> find_faults(const Subject& subject) {
  Findings all;
  for (const Check check : checks) {
    Findings found = check(subject);
    std::move(found.begin(), found.end(), std::back_inserter(all));
  }
  // Where a value is missing nothing behind it has a shape: that tells nothing of axes.
  const auto is = [](const char* kind) { return [kind](const Finding& finding) { return finding.kind == kind; }; };
  if (std::any_of(all.begin(), all.end(), is("undefined-value"))) {
    std::erase_if(all, is("frozen-axis"));
    std::erase_if(all, is("limited-axis"));
  }
  return all;
}

}  // namespace onnxport::inspect
