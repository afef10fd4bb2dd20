# shellcheck shell=bash
# The onnx library, for its checker and shape inference.

ONNX_VERSION=1.19.1
ONNX_SHA256=737524d6eb3907d3499ea459c6f01c5a96278bb3a0f2ff8ae04786fb5d7f1ed5

# Its own namespace: Debian's libtorch links another libonnx, and a process in which two of them register
# onnx/onnx-ml.proto aborts. Shared protobuf for the same reason: libtorch brings Debian's copy along. What it does on a graph
# without weights takes milliseconds, optimised or not; compiling it takes minutes.
ONNX_OPTIONS=(
  -DCMAKE_BUILD_TYPE=Release
  "-DCMAKE_CXX_FLAGS_RELEASE=-O1 -DNDEBUG"
  -DCMAKE_UNITY_BUILD=ON
  -DCMAKE_POSITION_INDEPENDENT_CODE=ON
  -DBUILD_SHARED_LIBS=OFF
  -DONNX_ML=ON
  -DONNX_NAMESPACE=onnxport_onnx
  -DONNX_BUILD_PYTHON=OFF
  -DONNX_BUILD_TESTS=OFF
  -DONNX_USE_PROTOBUF_SHARED_LIBS=ON
)

build_onnx() {
  local work="$1" stage="$2" log="$3"
  step "downloading onnx $ONNX_VERSION"
  # No isolation: pip would otherwise build a protobuf of its own, only to read the package's metadata.
  pip_fetch "$work/download" "$log" "onnx==$ONNX_VERSION" "$ONNX_SHA256" --no-binary onnx --no-build-isolation
  logged "$log" tar -xf "$work/download/onnx-$ONNX_VERSION.tar.gz" -C "$work" --no-same-owner
  step "building onnx $ONNX_VERSION (some minutes, once)"
  logged "$log" cmake -G Ninja -S "$work/onnx-$ONNX_VERSION" -B "$work/build" "${ONNX_OPTIONS[@]}" \
    "-DCMAKE_PROJECT_onnx_INCLUDE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/cmake/OnnxUnity.cmake" \
    "-DPython3_EXECUTABLE=$(python -c 'import sys; print(sys.executable)')" \
    -DCMAKE_INSTALL_LIBDIR=lib "-DCMAKE_INSTALL_PREFIX=$stage"
  logged "$log" cmake --build "$work/build" --parallel "$(job_count)"
  logged "$log" cmake --install "$work/build"
  cp "$work/onnx-$ONNX_VERSION/LICENSE" "$stage/LICENSE"
}

provide_onnx() {
  # The generated sources fit only the protobuf that generated them.
  provide "$ONNXPORT_DEPS/onnx-$ONNX_VERSION" "onnx $ONNX_VERSION $(protoc --version) ${ONNX_OPTIONS[*]}" \
    build_onnx "$ONNXPORT_DEPS/logs/onnx.log"
}
