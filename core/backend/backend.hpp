// SPDX-License-Identifier: Apache-2.0
// What the host asks of a back end: run a graph or a file on tensors. Each back end is a shared library of its
// own under lib/onnxport/backends, opened when it is needed and never unloaded, so that libtorch and ONNX
// Runtime cost nothing to those who do not validate. Built with the host: C++ types cross this boundary.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/backend/script_file.hpp"
#include "core/backend/script_graph.hpp"
#include "core/ir/graph.hpp"
#include "core/tensor/tensor.hpp"

namespace onnxport {

/// A model that can be run. run() may be called repeatedly with other shapes, by one thread at a time.
class Runnable {
 public:
  virtual ~Runnable() = default;
  /// Waits until it can be run; throws what loading threw.
  virtual void ready() {}
  /// Gives back what it can make again: it will not be run soon.
  virtual void rest() {}
  /// Evaluates the wanted outputs; all graph outputs where none are named. Throws Error with the node's path where one
  /// fails.
  virtual Tensors run(const Tensors& inputs, const std::vector<std::string>& wanted = {}) = 0;
  /// The same for several sets of inputs. A back end may take them through the model together, so that each weight is
  /// read once; what all of them compute is then in memory at the same time.
  virtual std::vector<Tensors> run_all(const std::vector<const Tensors*>& sets,
                                       const std::vector<std::string>& wanted = {});
  /// The largest magnitude of each of the wanted outputs of f32: NaN where one holds NaN, 0 where it has no elements. A
  /// back end may look at them as they are made, so that none of them is kept; weights that no node takes are not told
  /// then.
  virtual std::map<std::string, double> magnitudes(const Tensors& inputs, const std::vector<std::string>& wanted);
};

/// A model whose own library runs it. run() yields the outputs that it has: where it returns a dictionary, those of the
/// same name; the rest in order. Throws Error(internal) where it refuses the inputs.
class ScriptedModel : public Runnable {
 public:
  /// What each of its modules yields, in the order in which they are done; of several tensors the first.
  virtual std::vector<ModuleResult> module_results(const Tensors& inputs) = 0;
};

/// An ONNX model in memory whose weights lie in files: external data, with locations below `folder`.
struct ModelImage {
  std::string name;  // for messages
  std::string bytes;
  std::filesystem::path folder;
  /// Whether the back end may rewrite the graph, for which it may make copies of weights in other types.
  bool is_optimised = true;
};

/// A back end. The object is static in its library.
class Backend {
 public:
  virtual ~Backend() = default;
  /// "libtorch 1.13.0", "ONNX Runtime 1.32.0"
  virtual std::string version() const = 0;
  /// Evaluates a graph as it was defined (composites included). Marks can be asked for by name as
  /// outputs can. Null where the back end runs files only. The graph is copied; a weight is read where it lies, or made
  /// for the time in which it is used.
  virtual std::unique_ptr<Runnable> load_graph(const ir::Graph&) { return nullptr; }
  /// Opens an ONNX file. Null where the back end evaluates graphs only.
  virtual std::unique_ptr<Runnable> load_file(const std::string& path) {
    (void)path;
    return nullptr;
  }
  /// Opens a model in memory; it reads its weights where they lie. Null where the back end evaluates graphs only.
  virtual std::unique_ptr<Runnable> load_image(const ModelImage&) { return nullptr; }
  /// Opens a model that was written down with the library it was made with. Null where the back end has no such
  /// library. Throws Error(usage) where the file is none of its, or takes other things than the definition's inputs.
  virtual std::unique_ptr<ScriptedModel> load_script(const ScriptFile&) { return nullptr; }
  /// Files that are opened from now on may have operators whose kernels this library registers. Nothing where the back
  /// end runs no files.
  virtual void use_custom_operators(const std::string& library) { (void)library; }
  /// Reads what such a model computes. nullopt where the back end has no such library. Throws Error(usage) where the
  /// file is none of its, or has a part that it does not tell. The weights stay in memory as long as somebody holds
  /// one; a load_script() of the same file shares them.
  virtual std::optional<ScriptGraph> read_script(const std::filesystem::path&) { return std::nullopt; }
};

/// "reference" (libtorch) or "onnxruntime". Opens lib/onnxport/backends/libonnxport_NAME.so through Boost.DLL.
/// Throws Error(usage) saying what to install where the library, or the one it needs, is not there.
Backend& load_backend(const std::string& name);
/// Whether load_backend() would find the library; loads nothing.
bool backend_installed(const std::string& name);

/// A model that is loaded by a thread of its own: the first run waits for it, and throws what loading threw.
std::unique_ptr<Runnable> load_aside(std::function<std::unique_ptr<Runnable>()> load);

/// The one symbol of a back-end library: Backend* onnxport_backend(void). Compared before use:
/// const char* onnxport_backend_stamp(void) must equal the host's backend_stamp().
inline constexpr const char* backend_symbol = "onnxport_backend";
inline constexpr const char* backend_stamp_symbol = "onnxport_backend_stamp";
#define ONNXPORT_BACKEND_STAMP "onnxport-backend-6"

}  // namespace onnxport
