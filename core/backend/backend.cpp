// SPDX-License-Identifier: Apache-2.0
#include "core/backend/backend.hpp"

#include <fmt/format.h>

#include <cmath>
#include <future>
#include <map>
#include <mutex>
#include <span>

#include "core/error.hpp"
#include "core/loader_message.hpp"
#include "core/on_demand.hpp"

namespace onnxport {
namespace {

Backend* open_backend(const std::string& name) {
  OnDemandLibrary wanted;
  wanted.name = name;
  wanted.what = fmt::format("the back end '{}'", name);
  wanted.stamp_symbol = backend_stamp_symbol;
  wanted.stamp = ONNXPORT_BACKEND_STAMP;
  wanted.absent_hint = "build it (the reference needs libtorch), or pass --no-validate to export without comparing";
  wanted.broken_hint = "install the library that it needs, or pass --no-validate to export without comparing";
  const auto& library = open_on_demand(wanted);
  try {
    return library.get<Backend*()>(backend_symbol)();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& problem) {
    throw Error(Failure::usage, fmt::format("{} cannot be opened: {}", wanted.what, loader_message(problem)),
                wanted.broken_hint);
  }
}

/// Forwards to what a thread loads.
class LoadedAside final : public Runnable {
 public:
  explicit LoadedAside(std::function<std::unique_ptr<Runnable>()> load)
      : loaded_(std::async(std::launch::async, std::move(load)).share()) {}
  void ready() override { loaded_.get(); }
  Tensors run(const Tensors& inputs, const std::vector<std::string>& wanted) override {
    return loaded_.get()->run(inputs, wanted);
  }
  std::vector<Tensors> run_all(const std::vector<const Tensors*>& sets,
                               const std::vector<std::string>& wanted) override {
    return loaded_.get()->run_all(sets, wanted);
  }
  std::map<std::string, double> magnitudes(const Tensors& inputs, const std::vector<std::string>& wanted) override {
    return loaded_.get()->magnitudes(inputs, wanted);
  }

 private:
  std::shared_future<std::unique_ptr<Runnable>> loaded_;
};

}  // namespace

std::vector<Tensors> Runnable::run_all(const std::vector<const Tensors*>& sets,
                                       const std::vector<std::string>& wanted) {
  std::vector<Tensors> results;
  for (const Tensors* inputs : sets) results.push_back(run(*inputs, wanted));
  return results;
}

std::map<std::string, double> Runnable::magnitudes(const Tensors& inputs, const std::vector<std::string>& wanted) {
  std::map<std::string, double> largest;
  for (const auto& [name, tensor] : run(inputs, wanted)) {
    double& most = largest[name];
    for (const float number : tensor.dtype == ir::DType::f32 ? tensor.as<float>() : std::span<const float>()) {
      if (!(std::fabs(number) <= most) && !std::isnan(most)) most = std::fabs(number);
    }
  }
  return largest;
}

std::unique_ptr<Runnable> load_aside(std::function<std::unique_ptr<Runnable>()> load) {
  return std::make_unique<LoadedAside>(std::move(load));
}

Backend& load_backend(const std::string& name) {
  // Each has its own lock: one may be opened while another is already at work.
  struct Entry {
    std::mutex mutex;
    Backend* backend = nullptr;
  };
  static std::mutex mutex;
  static std::map<std::string, Entry> entries;
  Entry* entry = nullptr;
  {
    const std::lock_guard lock(mutex);
    entry = &entries[name];
  }
  const std::lock_guard lock(entry->mutex);
  if (entry->backend == nullptr) entry->backend = open_backend(name);
  return *entry->backend;
}

bool backend_installed(const std::string& name) {
  return std::filesystem::exists(on_demand_path(name));
}

}  // namespace onnxport
