// SPDX-License-Identifier: Apache-2.0
#include "backends/torch/script.hpp"

#include <c10/core/GradMode.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include "backends/torch/exchange.hpp"
#include "backends/torch/script_arguments.hpp"
#include "backends/torch/script_modules.hpp"
#include "backends/torch/script_reader.hpp"

namespace onnxport::reference {
namespace {

namespace jit = torch::jit;

/// A tensor among what forward() returns, with its key where it stands in a dictionary.
struct Leaf {
  std::string name;
  at::Tensor value;
};

void collect(const c10::IValue& value, const std::string& name, std::vector<Leaf>& leaves) {
  if (value.isTensor()) {
    if (value.toTensor().defined()) leaves.push_back({name, value.toTensor()});
  } else if (value.isTuple()) {
    for (const c10::IValue& part : value.toTupleRef().elements()) collect(part, "", leaves);
  } else if (value.isList()) {
    for (const c10::IValue& part : value.toListRef()) collect(part, "", leaves);
  } else if (value.isGenericDict()) {
    for (const auto& entry : value.toGenericDict()) {
      const std::string key = entry.key().isString() ? entry.key().toStringRef() : "";
      collect(entry.value(), key, leaves);
    }
  }
}

class Script final : public ScriptedModel {
 public:
  Script(ScriptFile script, std::shared_ptr<jit::Module> module)
      : script_(std::move(script)),
        module_(std::move(module)),
        arguments_(script_, module_->get_method("forward").function().getSchema()) {}
  Script(const Script&) = delete;
  Script& operator=(const Script&) = delete;

  Tensors run(const Tensors& inputs, const std::vector<std::string>&) override {
    return guarded([&] {
      const c10::NoGradGuard no_gradients;
      std::vector<Leaf> leaves;
      collect(module_->forward(arguments_.values(inputs)), "", leaves);
      return named(leaves);
    });
  }

  std::vector<ModuleResult> module_results(const Tensors& inputs) override {
    return guarded([&] {
      const c10::NoGradGuard no_gradients;
      return UnfoldedScript(*module_).run(*module_, arguments_.values(inputs));
    });
  }

 private:
  Tensors named(const std::vector<Leaf>& leaves) const {
    Tensors outputs;
    std::vector<const Leaf*> nameless;
    for (const Leaf& leaf : leaves) {
      const std::string name = defined_name(script_.output_names, leaf.name);
      if (std::find(script_.outputs.begin(), script_.outputs.end(), name) != script_.outputs.end())
        outputs.emplace(name, from_aten(leaf.value));
      else if (leaf.name.empty())
        nameless.push_back(&leaf);
    }
    auto next = nameless.begin();
    for (const std::string& name : script_.outputs) {
      if (!outputs.contains(name) && next != nameless.end()) outputs.emplace(name, from_aten((*next++)->value));
    }
    return outputs;
  }

  const ScriptFile script_;
  const std::shared_ptr<jit::Module> module_;
  const ScriptArguments arguments_;
};

/// What libtorch says of a file that it cannot load, for those who made it.
[[noreturn]] void refuse(const std::filesystem::path& file, const std::string& version, const std::string& said) {
  constexpr std::string_view unknown = "Unknown builtin op: ";
  if (const size_t at = said.find(unknown); at != std::string::npos) {
    const std::string op = said.substr(at + unknown.size());
    throw Error(Failure::usage,
                file.string() + ": " + version + " does not know " + op.substr(0, op.find_first_of(".\n ")),
                "make the module without it; of attention: attn_implementation=\"eager\"");
  }
  constexpr const char* hint = "make it with torch.jit.trace(model, inputs).save(FILE)";
  if (said.find("constants.pkl") != std::string::npos)
    throw Error(Failure::usage,
                file.string() + " is no TorchScript module, but an exported program (torch.export) or a state dict",
                hint);
  // What it asks its own authors to look at is a file that is damaged.
  const bool is_assertion = said.find("INTERNAL ASSERT") != std::string::npos;
  throw Error(Failure::usage,
              file.string() + " is no TorchScript module that " + version +
                  " reads: " + (is_assertion ? "it is damaged" : said),
              hint);
}

/// The module in a file. What is read while another holds it is the same one, so that its weights are in memory once.
std::shared_ptr<jit::Module> load_module(const std::filesystem::path& file, const std::string& version) {
  static std::mutex mutex;
  static std::map<std::pair<std::string, std::filesystem::file_time_type>, std::weak_ptr<jit::Module>> known;
  const std::lock_guard lock(mutex);
  try {
    std::error_code ignored;
    std::weak_ptr<jit::Module>& entry = known[{file.string(), std::filesystem::last_write_time(file, ignored)}];
    if (auto module = entry.lock()) return module;
    // What is fused or folded rounds otherwise, and is made again for each shape.
    jit::setGraphExecutorOptimize(false);
    auto module = std::make_shared<jit::Module>(jit::load(file.string(), at::kCPU));
    module->eval();
    entry = module;
    return module;
  } catch (const std::exception& problem) {
    refuse(file, version, reason_of(problem));
  }
}

}  // namespace

std::unique_ptr<ScriptedModel> open_script(const ScriptFile& script, const std::string& version) {
  std::shared_ptr<jit::Module> module = load_module(script.file, version);
  try {
    return std::make_unique<Script>(script, std::move(module));
  } catch (const Error&) {
    throw;
  } catch (const std::exception& problem) {
    refuse(script.file, version, reason_of(problem));
  }
}

ScriptGraph read_script(const std::filesystem::path& file, const std::string& version) {
  const std::shared_ptr<jit::Module> module = load_module(file, version);
  try {
    return describe_script(module, file.string());
  } catch (const Error&) {
    throw;
  } catch (const std::exception& problem) {
    refuse(file, version, reason_of(problem));
  }
}

}  // namespace onnxport::reference
