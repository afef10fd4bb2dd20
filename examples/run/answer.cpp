// SPDX-License-Identifier: Apache-2.0
// One pass of an exported graph by ONNX Runtime's C++ API, with tensors from a file and into one:
//
//   answer MODEL.onnx INPUTS.safetensors OUTPUTS.safetensors
//
// Inputs of the file that the graph does not have are left alone. Types are f32, i64 and bool.
#include <onnxruntime_cxx_api.h>

#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

/// A safetensors file is the length of a JSON text, that text, and the tensors behind it.
struct Type {
  const char* name;
  ONNXTensorElementDataType type;
  size_t bytes;
};
constexpr Type types[] = {{"F32", ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, 4},
                          {"I64", ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64, 8},
                          {"BOOL", ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL, 1}};

const Type& type_called(const std::string& name) {
  for (const Type& type : types) {
    if (name == type.name) return type;
  }
  throw std::runtime_error("tensors of the type " + name + " are not read");
}

const Type& type_of(const Ort::Value& value) {
  for (const Type& type : types) {
    if (value.GetTensorTypeAndShapeInfo().GetElementType() == type.type) return type;
  }
  throw std::runtime_error("an output has a type that is not written");
}

size_t bytes_of(const Ort::Value& value) {
  return value.GetTensorTypeAndShapeInfo().GetElementCount() * type_of(value).bytes;
}

std::map<std::string, Ort::Value> read_tensors(const char* path) {
  std::ifstream file(path, std::ios::binary);
  uint64_t length = 0;
  file.read(reinterpret_cast<char*>(&length), sizeof length);
  std::string text(file && length < (1U << 24U) ? length : 0, ' ');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file || text.empty()) throw std::runtime_error(std::string(path) + " is no safetensors file");
  const auto begin = file.tellg();
  Ort::AllocatorWithDefaultOptions allocator;
  std::map<std::string, Ort::Value> tensors;
  const nlohmann::json header = nlohmann::json::parse(text);
  for (const auto& [name, row] : header.items()) {
    if (name == "__metadata__") continue;
    const auto shape = row.at("shape").get<std::vector<int64_t>>();
    const Type& type = type_called(row.at("dtype").get<std::string>());
    Ort::Value value = Ort::Value::CreateTensor(allocator, shape.data(), shape.size(), type.type);
    const auto offset = row.at("data_offsets").at(0).get<int64_t>();
    if (row.at("data_offsets").at(1).get<int64_t>() - offset != static_cast<int64_t>(bytes_of(value)))
      throw std::runtime_error(name + " has more or fewer bytes than its shape says");
    file.seekg(begin + static_cast<std::streamoff>(offset));
    file.read(static_cast<char*>(value.GetTensorMutableRawData()), static_cast<std::streamsize>(bytes_of(value)));
    if (!file) throw std::runtime_error(std::string(path) + " ends before " + name);
    tensors.emplace(name, std::move(value));
  }
  return tensors;
}

void write_tensors(const char* path, const std::vector<std::string>& names, const std::vector<Ort::Value>& values) {
  nlohmann::json header = nlohmann::json::object();
  size_t end = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t begin = end;
    end += bytes_of(values[i]);
    header[names[i]] = {{"dtype", type_of(values[i]).name},
                        {"shape", values[i].GetTensorTypeAndShapeInfo().GetShape()},
                        {"data_offsets", {begin, end}}};
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // so that tensors begin where their types may
  const uint64_t length = text.size();
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(&length), sizeof length) << text;
  for (const Ort::Value& value : values)
    file.write(static_cast<const char*>(value.GetTensorRawData()), static_cast<std::streamsize>(bytes_of(value)));
  if (!file.flush()) throw std::runtime_error(std::string("cannot write ") + path);
}

int main(int argc, char** argv) try {
  if (argc != 4) {
    std::cerr << "usage: " << argv[0] << " MODEL.onnx INPUTS.safetensors OUTPUTS.safetensors\n";
    return 2;
  }
  Ort::Env environment(ORT_LOGGING_LEVEL_WARNING, "answer");
  Ort::Session session(environment, argv[1], Ort::SessionOptions());
  std::map<std::string, Ort::Value> tensors = read_tensors(argv[2]);
  Ort::AllocatorWithDefaultOptions allocator;
  std::vector<std::string> inputs, outputs;
  std::vector<Ort::Value> given;
  for (size_t i = 0; i < session.GetInputCount(); ++i) {
    inputs.push_back(session.GetInputNameAllocated(i, allocator).get());
    const auto found = tensors.find(inputs.back());
    if (found == tensors.end()) throw std::runtime_error("the model takes " + inputs.back() + ", which is not given");
    given.push_back(std::move(found->second));
  }
  for (size_t i = 0; i < session.GetOutputCount(); ++i)
    outputs.push_back(session.GetOutputNameAllocated(i, allocator).get());
  std::vector<const char*> input_names, output_names;
  for (const std::string& name : inputs) input_names.push_back(name.c_str());
  for (const std::string& name : outputs) output_names.push_back(name.c_str());
  write_tensors(argv[3], outputs,
                session.Run(Ort::RunOptions(), input_names.data(), given.data(), given.size(), output_names.data(),
                            output_names.size()));
  return 0;
} catch (const std::exception& error) {
  std::cerr << "error: " << error.what() << "\n";
  return 1;
}
