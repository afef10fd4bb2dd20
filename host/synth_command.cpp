// SPDX-License-Identifier: Apache-2.0
// onnxport synth: a random checkpoint from a config alone, for tests, benchmarks and plugin authors.
#include <fmt/format.h>

#include <cmath>
#include <fstream>
#include <random>

#include "core/error.hpp"
#include "core/output/companions.hpp"
#include "core/output/staging.hpp"
#include "host/commands.hpp"
#include "host/interrupt.hpp"
#include "host/selection.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

/// About normal, by the sum of four uniform numbers: std's distributions differ between libraries, and logarithms in
/// the last bit between machines.
class Normal {
 public:
  Normal(uint64_t seed, const std::string& name) {
    uint64_t hash = 14695981039346656037u ^ seed;
    for (unsigned char c : name) hash = (hash ^ c) * 1099511628211u;
    engine_.seed(hash);
  }
  float operator()() {
    const uint64_t bits = engine_();
    const auto sum =
        static_cast<int64_t>((bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48));
    // Four numbers in [0, 65536) have mean 131070 and standard deviation 37837.
    return static_cast<float>(static_cast<double>(sum - 131070) / 37837.0);
  }

 private:
  std::mt19937_64 engine_;
};

bool is_norm(const std::string& name) {
  std::string lower = name;
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower.find("norm") != std::string::npos || lower.find("ln_") != std::string::npos;
}

/// Values as in a trained model: norms near 1, matrices at such a scale that activations neither die nor explode, so
/// that a comparison of outputs means something.
ir::Tensor random_tensor(const std::string& name, const std::vector<int64_t>& shape, uint64_t seed) {
  ir::Tensor tensor{ir::DType::f32, shape, {}};
  const auto count = static_cast<size_t>(tensor.element_count());
  tensor.data.resize(count * sizeof(float));
  const bool vector = shape.size() <= 1;
  const float centre = vector && is_norm(name) && name.ends_with("weight") ? 1.0f : 0.0f;
  const float scale =
      vector ? 0.05f : std::max(0.02f, 1.0f / std::sqrt(static_cast<float>(std::max<int64_t>(1, shape.back()))));
  Normal normal(seed, name);
  for (float& value : tensor.as<float>()) value = centre + scale * normal();
  return tensor;
}

void copy_config(const fs::path& from, const fs::path& to) {
  std::error_code reason;
  fs::copy_file(from, to, fs::copy_options::overwrite_existing, reason);
  if (reason) throw output_error("cannot write", to, reason.value());
  fs::permissions(to, fs::perms::owner_write, fs::perm_options::add, reason);
}

}  // namespace

int run_synth(const SynthArguments& arguments, Console& console) {
  std::error_code ignored;
  const fs::path file =
      fs::is_directory(arguments.config, ignored) ? arguments.config / "config.json" : arguments.config;
  if (!fs::exists(file, ignored))
    throw Error(Failure::checkpoint, "there is no file " + file.string(), "name a config.json");
  const Json config = read_json(file);
  const Selection selection = select(arguments.plugins, config, file, {arguments.feature, arguments.plugin}, console);
  WeightSource weights;
  selection.onnx_config->define(weights);

  StagedOutput output(arguments.output);
  if (!output.is_folder())
    throw Error(Failure::usage, arguments.output.string() + " is no folder's name",
                "a checkpoint is a folder; leave .onnx away");
  std::map<std::string, ir::Tensor> tensors;
  uint64_t bytes = 0, parameters = 0;
  for (const auto& [name, shape] : weights.requested()) {
    uint64_t count = 1;
    for (int64_t size : shape) count *= static_cast<uint64_t>(size);
    parameters += count;
    bytes += count * sizeof(float);
  }
  output.require_space(bytes);
  uint64_t done = 0;
  for (const auto& [name, shape] : weights.requested()) {
    stop_if_interrupted();
    const ir::Tensor& tensor = tensors.emplace(name, random_tensor(name, shape, arguments.seed)).first->second;
    console.progress("drawing weights", done += tensor.data.size(), bytes);
  }
  write_safetensors(output.folder() / "model.safetensors", tensors);
  copy_config(file, output.folder() / "config.json");
  stop_if_interrupted();
  output.commit();

  auto& json = console.result();
  json["status"] = "ok";
  json["output"] = output.final_folder().string();
  json["model_type"] = selection.model_type;
  json["feature"] = selection.feature;
  json["tensors"] = tensors.size();
  json["parameters"] = parameters;
  console.line(fmt::format("done: a random {} for {} with {} tensors, {} parameters, {} in {}", selection.model_type,
                           selection.feature, tensors.size(), parameters, format_bytes(bytes),
                           output.final_folder().string()));
  return 0;
}

}  // namespace onnxport
