// SPDX-License-Identifier: Apache-2.0
// Runs ONNX files by ONNX Runtime, which is opened at run time, so that a user can bring another build of it.
#define ORT_API_MANUAL_INIT
#include <fmt/format.h>
#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <boost/dll/runtime_symbol_info.hpp>
#include <boost/dll/shared_library.hpp>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>

#include "core/backend/backend.hpp"
#include "core/backend/runtime_refusal.hpp"
#include "core/error.hpp"
#include "core/files/scratch_folder.hpp"
#include "core/out_of_memory.hpp"
#include "core/privileges.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;
namespace dll = boost::dll;

/// libonnxruntime.so in a folder or in its lib, under that name or one with a version behind it: Python's package has
/// the latter only.
std::vector<std::string> libraries_in(const fs::path& folder) {
  std::vector<std::string> found;
  for (const fs::path& place : {folder, folder / "lib"}) {
    std::vector<std::string> here;
    std::error_code unreadable;
    for (const fs::directory_entry& entry : fs::directory_iterator(place, unreadable)) {
      if (entry.path().filename().string().starts_with("libonnxruntime.so")) here.push_back(entry.path().string());
    }
    std::sort(here.begin(), here.end());  // the name without a version comes first
    found.insert(found.end(), here.begin(), here.end());
  }
  return found;
}

/// The places where the library may be, in the order in which they are tried. What a user names is the only one.
std::vector<std::string> library_candidates() {
  if (const auto given = variable_for_code("ONNXPORT_ONNXRUNTIME")) {
    const std::vector<std::string> found = libraries_in(*given);
    return found.empty() ? std::vector<std::string>{*given} : found;
  }
  // Beside this back end, or where the installation has what its programs need.
  const fs::path folder = fs::path(dll::this_line_location().string()).parent_path();
  std::vector<std::string> candidates = libraries_in(folder);
  for (const std::string& library : libraries_in(folder.parent_path())) candidates.push_back(library);
  candidates.emplace_back("libonnxruntime.so");
  candidates.emplace_back("libonnxruntime.so.1");
  return candidates;
}

/// The version of the C API that goes with "1.21.0"; the highest there is where the text is something else.
uint32_t api_version_of(const std::string& version) {
  const bool numbered = version.starts_with("1.") && version.size() > 2 && version[2] >= '0' && version[2] <= '9';
  return numbered ? static_cast<uint32_t>(std::strtoul(version.c_str() + 2, nullptr, 10)) : ORT_API_VERSION;
}

/// An opened library.
struct Opened {
  std::string version;  // its own
  uint32_t api;         // the version of its C API that is used
};

/// Opens the library and hands its functions to the wrapper, at the highest version that both sides know.
Opened open_library(dll::shared_library& library) {
  // Lately it keeps a number of the machine and a file of events below the user's cache, unless this is set before it
  // is opened.
  ::setenv("ORT_DISABLE_TELEMETRY", "1", 1);
  std::string tried;
  for (const std::string& candidate : library_candidates()) {
    try {  // The exception has the loader's own words; the overload with an error code loses them.
      library.load(candidate,
                   dll::load_mode::rtld_now | dll::load_mode::rtld_local | dll::load_mode::search_system_folders);
    } catch (const std::exception& problem) {
      tried += fmt::format("\n  {}: {}", candidate, problem.what());
      continue;
    }
    if (!library.has("OrtGetApiBase")) {
      tried += fmt::format("\n  {}: is not ONNX Runtime", candidate);
      continue;
    }
    const auto* base = library.get<const OrtApiBase*()>("OrtGetApiBase")();
    // ONNX Runtime prints a complaint when it is asked for a version that it does not know.
    for (uint32_t version = std::min<uint32_t>(ORT_API_VERSION, api_version_of(base->GetVersionString()));
         version >= 14; --version) {
      if (const OrtApi* api = base->GetApi(version)) {
        Ort::InitApi(api);
        return {base->GetVersionString(), version};
      }
    }
    tried += fmt::format("\n  {}: version {} is too old", candidate, base->GetVersionString());
  }
  throw Error(Failure::usage, "ONNX Runtime cannot be opened; tried:" + tried,
              "install it (./scripts/setup does), or name its library in ONNXPORT_ONNXRUNTIME");
}

struct TypeRow {
  ONNXTensorElementDataType ort;
  ir::DType dtype;
};
constexpr TypeRow types[] = {
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, ir::DType::f32},     {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16, ir::DType::f16},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16, ir::DType::bf16}, {ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE, ir::DType::f64},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64, ir::DType::i64},     {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32, ir::DType::i32},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8, ir::DType::i8},       {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8, ir::DType::u8},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL, ir::DType::boolean},
};

ONNXTensorElementDataType ort_type(ir::DType dtype) {
  for (const TypeRow& row : types) {
    if (row.dtype == dtype) return row.ort;
  }
  throw Error(Failure::internal, fmt::format("ONNX Runtime is not given tensors of type {}", ir::name_of(dtype)));
}

ir::Tensor to_tensor(const Ort::Value& value) {
  const auto info = value.GetTensorTypeAndShapeInfo();
  ir::Tensor tensor;
  for (const TypeRow& row : types) {
    if (row.ort == info.GetElementType()) tensor.dtype = row.dtype;
  }
  if (tensor.dtype == ir::DType::undefined)
    throw Error(Failure::internal, "ONNX Runtime yields a tensor of a type that is not read");
  tensor.shape = info.GetShape();
  tensor.data.resize(static_cast<size_t>(tensor.element_count()) * ir::size_of(tensor.dtype));
  if (!tensor.data.empty()) std::memcpy(tensor.data.data(), value.GetTensorRawData(), tensor.data.size());
  return tensor;
}

[[noreturn]] void refuse(const std::string& doing, const std::string& said) {
  throw_failure(runtime_refusal(doing, said), said);
}

class SessionRunnable final : public Runnable {
 public:
  /// `open` opens the session; where `may_rest`, again after each rest.
  SessionRunnable(std::function<Ort::Session()> open, bool may_rest)
      : open_(std::move(open)), may_rest_(may_rest), session_(open_()) {
    Ort::AllocatorWithDefaultOptions allocator;
    for (size_t i = 0; i < session_.GetInputCount(); ++i)
      inputs_.emplace_back(session_.GetInputNameAllocated(i, allocator).get());
    for (size_t i = 0; i < session_.GetOutputCount(); ++i)
      outputs_.emplace_back(session_.GetOutputNameAllocated(i, allocator).get());
  }

  /// The pages of its weights count as memory of this process no longer.
  void rest() override {
    if (may_rest_) session_ = Ort::Session(nullptr);
  }

  Tensors run(const Tensors& inputs, const std::vector<std::string>& wanted) override {
    try {
      if (!session_) session_ = open_();
      return run_session(inputs, wanted);
    } catch (const Ort::Exception& problem) {
      refuse("ONNX Runtime cannot run the model", problem.what());
    }
  }

 private:
  Tensors run_session(const Tensors& inputs, const std::vector<std::string>& wanted) {
    const std::vector<std::string>& names = wanted.empty() ? outputs_ : wanted;
    const Ort::MemoryInfo memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    std::vector<const char*> input_names, output_names;
    std::vector<Ort::Value> values;
    for (const std::string& name : inputs_) {
      const auto found = inputs.find(name);
      if (found == inputs.end())
        throw Error(Failure::internal, fmt::format("no value was given for the input '{}'", name));
      const ir::Tensor& tensor = found->second;
      input_names.push_back(name.c_str());
      values.push_back(Ort::Value::CreateTensor(memory, const_cast<std::byte*>(tensor.data.data()), tensor.data.size(),
                                                tensor.shape.data(), tensor.shape.size(), ort_type(tensor.dtype)));
    }
    for (const std::string& name : names) output_names.push_back(name.c_str());
    const std::vector<Ort::Value> results = session_.Run(Ort::RunOptions(), input_names.data(), values.data(),
                                                         values.size(), output_names.data(), output_names.size());
    Tensors tensors;
    for (size_t i = 0; i < results.size(); ++i) tensors.emplace(names[i], to_tensor(results[i]));
    return tensors;
  }

  std::function<Ort::Session()> open_;
  bool may_rest_;
  Ort::Session session_;
  std::vector<std::string> inputs_, outputs_;
};

/// The first version of the C API that is told where the external data of a model in memory lie.
constexpr uint32_t takes_images_since = 21;

/// Weights stay where they lie: kernels may not keep them in a layout of their own, which would be a copy of them all,
/// nor may those of convolutions be put in blocks of channels, which is done with the graph (and holds two copies at a
/// time). What kernels compute changes in rounding alone, and the graph is optimised no less otherwise; loading is as
/// much faster as running is slower.
void prepare_for_images(Ort::SessionOptions& options) {
  options.AddConfigEntry("session.disable_prepacking", "1");
  options.SetGraphOptimizationLevel(ORT_ENABLE_EXTENDED);
  // The reference runs at the same time; who waits does so asleep.
  options.AddConfigEntry("session.intra_op.allow_spinning", "0");
}

/// `options` say what holds for every session.
Ort::Session session_of(Ort::Env& env, const ModelImage& image, uint32_t api_version, Ort::SessionOptions options) {
  prepare_for_images(options);
  if (!image.is_optimised) options.SetGraphOptimizationLevel(ORT_DISABLE_ALL);
  if (api_version >= takes_images_since) {
    options.AddConfigEntry("session.model_external_initializers_file_folder_path", image.folder.c_str());
    return Ort::Session(env, image.bytes.data(), image.bytes.size(), options);
  }
  // Earlier ones find data from a model's file only, and follow symbolic links.
  const ScratchFolder scratch;
  for (const fs::directory_entry& entry : fs::directory_iterator(image.folder))
    fs::create_symlink(fs::absolute(entry.path()), scratch.path() / entry.path().filename());
  const fs::path file = scratch.path() / ".onnxport-image.onnx";
  std::ofstream(file, std::ios::binary) << image.bytes;
  return Ort::Session(env, file.c_str(), options);
}

/// The number of threads that OMP_NUM_THREADS allows, which libtorch reads itself; 0 where it says nothing.
int allowed_threads() {
  const char* const told = std::getenv("OMP_NUM_THREADS");
  int threads = 0;
  if (!told || std::from_chars(told, told + std::strlen(told), threads).ec != std::errc()) return 0;
  return std::max(threads, 0);
}

class OnnxRuntime final : public Backend {
 public:
  OnnxRuntime() : opened_(open_library(library_)), env_(ORT_LOGGING_LEVEL_FATAL, "onnxport") {
    env_.DisableTelemetryEvents();
  }

  std::string version() const override { return "ONNX Runtime " + opened_.version; }

  std::unique_ptr<Runnable> load_file(const std::string& path) override {
    return loaded(
        path, [this, path] { return Ort::Session(env_, path.c_str(), options()); }, false);
  }
  std::unique_ptr<Runnable> load_image(const ModelImage& image) override {
    return loaded(
        image.name, [this, image] { return session_of(env_, image, opened_.api, options()); }, true);
  }

  void use_custom_operators(const std::string& library) override { custom_operators_ = library; }

 private:
  Ort::SessionOptions options() const {
    Ort::SessionOptions options;
    if (const int threads = allowed_threads()) options.SetIntraOpNumThreads(threads);
    if (!custom_operators_.empty()) options.RegisterCustomOpsLibrary(custom_operators_.c_str());
    return options;
  }

  static std::unique_ptr<Runnable> loaded(const std::string& what, std::function<Ort::Session()> open, bool may_rest) {
    try {
      return std::make_unique<SessionRunnable>(std::move(open), may_rest);
    } catch (const Ort::Exception& problem) {
      refuse("ONNX Runtime cannot load " + what, problem.what());
    }
  }

  dll::shared_library library_;  // never unloaded, as this object is never destroyed
  Opened opened_;
  Ort::Env env_;
  std::string custom_operators_;  // a library; empty: none
};

}  // namespace
}  // namespace onnxport

extern "C" {
__attribute__((visibility("default"))) const char* onnxport_backend_stamp() {
  return ONNXPORT_BACKEND_STAMP;
}
/// The object is made on first use, and never destroyed: its library would be gone by then.
__attribute__((visibility("default"))) onnxport::Backend* onnxport_backend() {
  static auto* backend = new onnxport::OnnxRuntime();
  return backend;
}
}
