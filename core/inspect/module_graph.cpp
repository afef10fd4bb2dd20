// SPDX-License-Identifier: Apache-2.0
#include "core/inspect/module_graph.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "core/inspect/module_path.hpp"

namespace onnxport::inspect {
namespace {

/// The first `depth` steps of a path.
std::string cut(const std::string& path, size_t depth) {
  size_t end = 0;
  for (size_t step = 0; step < depth; ++step) {
    end = path.find('.', end + (step > 0 ? 1 : 0));
    if (end == std::string::npos) return path;
  }
  return path.substr(0, end);
}

size_t depth_of(const std::string& path) {
  return path.empty() ? 0 : static_cast<size_t>(std::count(path.begin(), path.end(), '.')) + 1;
}

/// The dimensions of the weights that a node takes: "768×3072".
std::string weights_of(const pb::NodeProto& node, const std::map<std::string, const pb::TensorProto*>& weights) {
  std::vector<std::string> texts;
  for (const std::string& input : node.input()) {
    const auto found = weights.find(input);
    if (found != weights.end() && found->second->dims_size() > 0)
      texts.push_back(fmt::format("{}", fmt::join(found->second->dims(), "×")));
  }
  return fmt::format("{}", fmt::join(texts, ", "));
}

class Drawing {
 public:
  Drawing(const pb::GraphProto& graph, const std::string& module, size_t depth) : depth_(depth) {
    picture_.path = module;
    for (const auto& tensor : graph.initializer()) weights_[tensor.name()] = &tensor;
    for (const auto& input : graph.input()) outside_[input.name()] = input.name();
    for (const auto& node : graph.node()) {
      if (!is_within(module_of(node), module)) {
        for (const std::string& output : node.output()) outside_[output] = output;
      }
    }
    for (const auto& node : graph.node()) {
      if (is_within(module_of(node), module)) add(node);
    }
    leave(graph, module);
    for (Box& box : picture_.boxes) {
      if (box.kind == Box::Kind::module) box.detail = fmt::format("{} node{}", box.nodes, box.nodes == 1 ? "" : "s");
    }
  }

  Picture take() { return std::move(picture_); }

 private:
  size_t box(const Box& box) {
    picture_.boxes.push_back(box);
    return picture_.boxes.size() - 1;
  }

  void add(const pb::NodeProto& node) {
    if (node.op_type() == "Constant") return;
    const std::string module = module_of(node), shown = cut(module, depth_);
    size_t at = 0;
    if (depth_of(shown) > depth_of(picture_.path) && depth_of(shown) >= depth_) {
      const auto known = modules_.find(shown);
      if (known == modules_.end()) {
        const size_t dot = shown.rfind('.');
        const std::string name = picture_.path.empty() ? shown : shown.substr(dot == std::string::npos ? 0 : dot + 1);
        at = modules_[shown] = box({Box::Kind::module, name, {}, shown, 0});
      } else {
        at = known->second;
      }
      ++picture_.boxes[at].nodes;
    } else {
      at = box({Box::Kind::node, node.op_type(), weights_of(node, weights_), {}, 1});
    }
    for (const std::string& input : node.input()) connect(input, at);
    for (const auto& attribute : node.attribute()) {
      if (!attribute.has_g()) continue;
      for (const auto& inner : attribute.g().node()) {
        for (const std::string& input : inner.input()) connect(input, at);
      }
    }
    for (const std::string& output : node.output()) made_[output] = at;
  }

  void connect(const std::string& value, size_t to) {
    if (value.empty()) return;
    const auto made = made_.find(value);
    if (made != made_.end()) {
      arrow(made->second, to);
      return;
    }
    if (!outside_.contains(value)) return;
    const auto known = inputs_.find(value);
    const size_t from =
        known != inputs_.end() ? known->second : (inputs_[value] = box({Box::Kind::input, value, {}, {}, 0}));
    arrow(from, to);
  }

  void arrow(size_t from, size_t to) {
    if (from != to && known_arrows_.insert({from, to}).second) picture_.arrows.emplace_back(from, to);
  }

  /// Where values go that others take.
  void leave(const pb::GraphProto& graph, const std::string& module) {
    std::set<std::string> taken;
    for (const auto& output : graph.output()) taken.insert(output.name());
    for (const auto& node : graph.node()) {
      if (!is_within(module_of(node), module)) taken.insert(node.input().begin(), node.input().end());
    }
    for (const std::string& value : taken) {
      const auto made = made_.find(value);
      if (made != made_.end()) arrow(made->second, box({Box::Kind::output, value, {}, {}, 0}));
    }
  }

  size_t depth_;
  Picture picture_;
  std::map<std::string, const pb::TensorProto*> weights_;
  std::map<std::string, std::string> outside_;
  std::map<std::string, size_t> modules_, made_, inputs_;
  std::set<std::pair<size_t, size_t>> known_arrows_;
};

}  // namespace

Picture collapsed(const pb::GraphProto& graph, size_t depth) {
  return Drawing(graph, "", depth).take();
}

Picture inside(const pb::GraphProto& graph, const std::string& module) {
  return Drawing(graph, module, depth_of(module) + 1).take();
}

std::vector<std::string> modules_of(const pb::GraphProto& graph) {
  std::vector<std::string> modules{""};
  std::set<std::string> known{""};
  for (const auto& node : graph.node()) {
    const std::string module = module_of(node);
    for (size_t depth = 1; depth <= depth_of(module); ++depth) {
      if (known.insert(cut(module, depth)).second) modules.push_back(cut(module, depth));
    }
  }
  return modules;
}

}  // namespace onnxport::inspect
