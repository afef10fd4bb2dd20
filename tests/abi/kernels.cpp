// SPDX-License-Identifier: Apache-2.0
// A library of kernels as ONNX Runtime loads it: com.example.Gate, version 2.
#include <onnxruntime_cxx_api.h>

#include <cmath>

namespace {

struct Kernel {
  Kernel(const OrtApi&, const OrtKernelInfo* info)
      : sharpness(Ort::ConstKernelInfo(info).GetAttribute<float>("sharpness")) {}

  void Compute(OrtKernelContext* context) {
    Ort::KernelContext call(context);
    const Ort::ConstValue x = call.GetInput(0), gate = call.GetInput(1);
    const auto shape = x.GetTensorTypeAndShapeInfo().GetShape();
    Ort::UnownedValue y = call.GetOutput(0, shape);
    const size_t count = x.GetTensorTypeAndShapeInfo().GetElementCount();
    for (size_t i = 0; i < count; ++i) {
      y.GetTensorMutableData<float>()[i] =
          x.GetTensorData<float>()[i] / (1 + std::exp(-sharpness * gate.GetTensorData<float>()[i]));
    }
  }

  float sharpness;
};

struct Gate : Ort::CustomOpBase<Gate, Kernel> {
  void* CreateKernel(const OrtApi& api, const OrtKernelInfo* info) const { return new Kernel(api, info); }
  const char* GetName() const { return "Gate"; }
  size_t GetInputTypeCount() const { return 2; }
  ONNXTensorElementDataType GetInputType(size_t) const { return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT; }
  size_t GetOutputTypeCount() const { return 1; }
  ONNXTensorElementDataType GetOutputType(size_t) const { return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT; }
};

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): the name by which ONNX Runtime finds it
extern "C" __attribute__((visibility("default"))) OrtStatus* RegisterCustomOps(OrtSessionOptions* options,
                                                                               const OrtApiBase* base) {
  Ort::InitApi(base->GetApi(ORT_API_VERSION));
  static const Gate gate;
  static Ort::CustomOpDomain domain("com.example");
  static const bool added = (domain.Add(&gate), true);
  static_cast<void>(added);
  return Ort::GetApi().AddCustomOpDomain(options, domain);
}
