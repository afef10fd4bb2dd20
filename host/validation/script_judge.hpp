// SPDX-License-Identifier: Apache-2.0
// The original model as TorchScript, run by libtorch: a judge that shares no word with the definition.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/backend/backend.hpp"
#include "core/export/defined_graphs.hpp"
#include "core/validate/validate.hpp"
#include "host/plan/script_reference.hpp"

namespace onnxport {

class ScriptJudge {
 public:
  /// Loads it, and finds out what it calls the definition's inputs. Throws as Backend::load_script(). Keeps a reference
  /// to the definition.
  ScriptJudge(const ScriptReference& reference, const Definition& definition);

  /// "model.pt"
  const std::string& name() const { return name_; }
  /// The file against what the original says to the inputs. Those that it refuses, as a trace may another batch, and
  /// outputs that it does not have are told and not compared. Throws Error(usage) where it refuses all of them.
  ValidationReport judge(Runnable& onnx, const std::vector<ValidationInputs>& inputs, const Tolerance& tolerance) const;

 private:
  void add_departure(ValidationReport& report, const std::vector<ValidationInputs>& inputs,
                     const Tolerance& tolerance) const;

  const Definition& definition_;
  std::string name_;
  std::unique_ptr<ScriptedModel> model_;
};

/// By the definitions of an export's graphs: the original, or the part of it, that judges them.
using ScriptJudges = std::map<const Definition*, std::shared_ptr<const ScriptJudge>>;

/// Each of them for the first graph that takes what it takes and has no judge yet. Throws Error(usage) where there is
/// none, saying what each graph lacks, and where a name of the file of names is of no graph.
ScriptJudges script_judges(const std::vector<ScriptReference>& references, const std::vector<GraphToExport>& graphs);

}  // namespace onnxport
