// SPDX-License-Identifier: Apache-2.0
// What the host asks of a back end: run a graph or a file on tensors. Each back end is a shared library of its
// own under lib/onnxport/backends, opened when it is needed and never unloaded, so that libtorch and ONNX
// Runtime cost nothing to those who do not validate. Built with the host: C++ types cross this boundary.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/ir/graph.hpp"
#include "core/tensor/tensor.hpp"

namespace onnxport {

/// A model that can be run. run() may be called repeatedly with other shapes.
class Runnable {
 public:
  virtual ~Runnable() = default;
  /// Evaluates the wanted outputs; all graph outputs where none are named. Throws Error with the node's path where one
  /// fails.
  virtual Tensors run(const Tensors& inputs, const std::vector<std::string>& wanted = {}) = 0;
};

/// A back end. The object is static in its library.
class Backend {
 public:
  virtual ~Backend() = default;
  /// "libtorch 1.13.0", "ONNX Runtime 1.32.0"
  virtual std::string version() const = 0;
  /// Evaluates a graph as it was defined (composites included). Marks can be asked for by name as
  /// outputs can. Null where the back end runs files only. The graph is copied; weights are materialized one by one.
  virtual std::unique_ptr<Runnable> load_graph(const ir::Graph&) { return nullptr; }
  /// Opens an ONNX file. Null where the back end evaluates graphs only.
  virtual std::unique_ptr<Runnable> load_file(const std::string& path) {
    (void)path;
    return nullptr;
  }
  /// Files that are opened from now on may have operators whose kernels this library registers. Nothing where the back
  /// end runs no files.
  virtual void use_custom_operators(const std::string& library) { (void)library; }
};

/// "reference" (libtorch) or "onnxruntime". Opens lib/onnxport/backends/libonnxport_NAME.so through Boost.DLL.
/// Throws Error(usage) saying what to install where the library, or the one it needs, is not there.
Backend& load_backend(const std::string& name);
/// Whether load_backend() would find the library; loads nothing.
bool backend_installed(const std::string& name);

/// The one symbol of a back-end library: Backend* onnxport_backend(void). Compared before use:
/// const char* onnxport_backend_stamp(void) must equal the host's backend_stamp().
inline constexpr const char* backend_symbol = "onnxport_backend";
inline constexpr const char* backend_stamp_symbol = "onnxport_backend_stamp";
#define ONNXPORT_BACKEND_STAMP "onnxport-backend-1"

}  // namespace onnxport
