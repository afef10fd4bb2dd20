# Read by the build of the onnx library (scripts/lib/onnx.sh) behind its project(): its sources are compiled several at once, in a
# third of the time, but for those that do not stand together. What protoc writes names its tables alike; the three sources specialise
# templates that their neighbours have used by then.
cmake_language(DEFER CALL set_target_properties onnx_proto PROPERTIES UNITY_BUILD OFF)
set_source_files_properties(
  "${PROJECT_SOURCE_DIR}/onnx/defs/sequence/defs.cc" "${PROJECT_SOURCE_DIR}/onnx/defs/sequence/old.cc"
  "${PROJECT_SOURCE_DIR}/onnx/defs/tensor_proto_util.cc"
  PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
