# Finds everything that this project builds on, and offers it as imported targets:
#
#   onnxport::boost_dll     Boost.DLL over std::filesystem
#   Boost::headers          further header-only Boost libraries
#   Boost::unit_test_framework   only where BUILD_TESTING is not off
#   onnxport::onnx          the ONNX protocol buffers, checker and shape inference, in namespace onnxport_onnx
#   onnxport::ort_headers   the C API of ONNX Runtime; the library is opened at run time and never linked
#   onnxport::torch         libtorch, unless ONNXPORT_TORCH is off; for its back end alone
#   onnxport::curl          libcurl, for the downloader alone
#   onnxport::jsonnet       libjsonnet, for the templates of packages
#   onnxport::yaml_cpp  onnxport::nettle  CLI11::CLI11  fmt::fmt  nlohmann_json::nlohmann_json  Threads::Threads
#
# Imported targets count as system headers, so their warnings are not ours. All that is missing is reported at once.

include_guard(GLOBAL)

option(ONNXPORT_TORCH "Build the reference back end, which needs libtorch" ON)

if(DEFINED ENV{ONNXPORT_DEPS})
  set(_deps_default "$ENV{ONNXPORT_DEPS}")
elseif(DEFINED ENV{XDG_CACHE_HOME})
  set(_deps_default "$ENV{XDG_CACHE_HOME}/onnxport/deps")
else()
  set(_deps_default "$ENV{HOME}/.cache/onnxport/deps")
endif()
set(ONNXPORT_DEPS "${_deps_default}" CACHE PATH "The cache of dependencies that scripts/setup fills")
set(ONNXPORT_ONNX_VERSION 1.19.1)
set(ONNXPORT_ORT_VERSION 1.32.0)

# The places where dependencies were looked for last. When one of them moves, what was found there is looked for again;
# CMake itself would keep the old answer for as long as the build folder lives.
set(_ort_root "${ONNXRUNTIME_ROOT}")
if(NOT _ort_root AND DEFINED ENV{ONNXRUNTIME_ROOT})
  set(_ort_root "$ENV{ONNXRUNTIME_ROOT}")
endif()
set(_places "${ONNXPORT_DEPS}|${_ort_root}|${Torch_DIR}|${CMAKE_PREFIX_PATH}")
if(DEFINED ONNXPORT_PLACES AND NOT ONNXPORT_PLACES STREQUAL _places)
  foreach(_variable IN ITEMS ONNX_INCLUDE_DIR ONNX_LIBRARY ONNX_PROTO_LIBRARY ORT_INCLUDE_DIR ORT_LIBRARY
                             TORCH_INCLUDE_DIR TORCH_LIBRARY TORCH_CPU_LIBRARY TORCH_C10_LIBRARY)
    unset(ONNXPORT_${_variable} CACHE)
  endforeach()
endif()
set(ONNXPORT_PLACES "${_places}" CACHE INTERNAL "")

set(_missing "")

find_package(Threads REQUIRED)

# --- Boost ---------------------------------------------------------------------------------------------------------
# Boost's own package files: CMake's module for Boost is older than the library, and gone from later versions of CMake.
find_package(Boost 1.81 QUIET CONFIG)
if(Boost_FOUND)
  if(NOT TARGET onnxport::boost_dll)
    add_library(onnxport::boost_dll INTERFACE IMPORTED)
    target_link_libraries(onnxport::boost_dll INTERFACE Boost::headers ${CMAKE_DL_LIBS})
    target_compile_definitions(onnxport::boost_dll INTERFACE BOOST_DLL_USE_STD_FS)
  endif()
  if(NOT DEFINED BUILD_TESTING OR BUILD_TESTING)
    find_package(Boost 1.81 QUIET CONFIG COMPONENTS unit_test_framework)
    if(NOT TARGET Boost::unit_test_framework)
      list(APPEND _missing "Boost.Test 1.81 or later")
    endif()
  endif()
else()
  list(APPEND _missing "Boost 1.81 or later")
endif()

# --- Small libraries -----------------------------------------------------------------------------------------------
find_package(fmt QUIET)
if(NOT TARGET fmt::fmt)
  list(APPEND _missing "fmt")
endif()

find_package(CLI11 QUIET)
if(NOT TARGET CLI11::CLI11)
  list(APPEND _missing "CLI11")
endif()

find_package(nlohmann_json QUIET)
if(NOT TARGET nlohmann_json::nlohmann_json)
  list(APPEND _missing "nlohmann-json")
endif()

find_package(yaml-cpp QUIET)
# The target's name changed in 0.8.
if(TARGET yaml-cpp::yaml-cpp)
  set(_yaml_cpp yaml-cpp::yaml-cpp)
elseif(TARGET yaml-cpp)
  set(_yaml_cpp yaml-cpp)
else()
  set(_yaml_cpp "")
  list(APPEND _missing "yaml-cpp")
endif()
if(_yaml_cpp AND NOT TARGET onnxport::yaml_cpp)
  add_library(onnxport::yaml_cpp INTERFACE IMPORTED)
  target_link_libraries(onnxport::yaml_cpp INTERFACE ${_yaml_cpp})
endif()

find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
  pkg_check_modules(ONNXPORT_NETTLE QUIET IMPORTED_TARGET nettle hogweed)
endif()
if(TARGET PkgConfig::ONNXPORT_NETTLE)
  if(NOT TARGET onnxport::nettle)
    add_library(onnxport::nettle INTERFACE IMPORTED)
    target_link_libraries(onnxport::nettle INTERFACE PkgConfig::ONNXPORT_NETTLE)
  endif()
else()
  list(APPEND _missing "nettle")
endif()

find_path(ONNXPORT_JSONNET_INCLUDE_DIR libjsonnet.h)
find_library(ONNXPORT_JSONNET_LIBRARY jsonnet)
mark_as_advanced(ONNXPORT_JSONNET_INCLUDE_DIR ONNXPORT_JSONNET_LIBRARY)
if(ONNXPORT_JSONNET_INCLUDE_DIR AND ONNXPORT_JSONNET_LIBRARY)
  if(NOT TARGET onnxport::jsonnet)
    add_library(onnxport::jsonnet UNKNOWN IMPORTED)
    set_target_properties(onnxport::jsonnet PROPERTIES IMPORTED_LOCATION "${ONNXPORT_JSONNET_LIBRARY}"
                          INTERFACE_INCLUDE_DIRECTORIES "${ONNXPORT_JSONNET_INCLUDE_DIR}")
  endif()
else()
  list(APPEND _missing "libjsonnet")
endif()

find_package(CURL 7.87 QUIET)
if(TARGET CURL::libcurl)
  if(NOT TARGET onnxport::curl)
    add_library(onnxport::curl INTERFACE IMPORTED)
    target_link_libraries(onnxport::curl INTERFACE CURL::libcurl)
  endif()
else()
  list(APPEND _missing "libcurl 7.87 or later")
endif()

# --- onnx ----------------------------------------------------------------------------------------------------------
# The protobuf of the protoc in PATH, with which scripts/setup has generated onnx's sources. Not one below CMAKE_PREFIX_PATH:
# a downloaded libtorch carries old protobuf headers, and it is in that very variable.
set(_not_in_prefix NO_CMAKE_PATH NO_CMAKE_ENVIRONMENT_PATH NO_PACKAGE_ROOT_PATH)
find_program(Protobuf_PROTOC_EXECUTABLE protoc ${_not_in_prefix})
set(_protobuf_hints "")
if(Protobuf_PROTOC_EXECUTABLE)
  get_filename_component(_protobuf_prefix "${Protobuf_PROTOC_EXECUTABLE}" DIRECTORY)
  get_filename_component(_protobuf_prefix "${_protobuf_prefix}" DIRECTORY)
  set(_protobuf_hints HINTS "${_protobuf_prefix}")
endif()
# Recent versions of protobuf need the libraries that only their own package file names.
find_package(Protobuf QUIET CONFIG ${_protobuf_hints} ${_not_in_prefix})
if(NOT TARGET protobuf::libprotobuf)
  find_path(Protobuf_INCLUDE_DIR google/protobuf/service.h ${_protobuf_hints} PATH_SUFFIXES include ${_not_in_prefix})
  find_library(Protobuf_LIBRARY_RELEASE protobuf ${_protobuf_hints} PATH_SUFFIXES lib ${_not_in_prefix})
  find_package(Protobuf QUIET MODULE)
endif()
if(NOT TARGET protobuf::libprotobuf)
  list(APPEND _missing "protobuf")
endif()

set(_onnx_root "${ONNXPORT_DEPS}/onnx-${ONNXPORT_ONNX_VERSION}")
# Nowhere else: a system's onnx is built in the default namespace, which cannot share a process with libtorch's.
find_path(ONNXPORT_ONNX_INCLUDE_DIR onnx/checker.h PATHS "${_onnx_root}/include" NO_DEFAULT_PATH)
find_library(ONNXPORT_ONNX_LIBRARY onnx PATHS "${_onnx_root}/lib" NO_DEFAULT_PATH)
find_library(ONNXPORT_ONNX_PROTO_LIBRARY onnx_proto PATHS "${_onnx_root}/lib" NO_DEFAULT_PATH)
mark_as_advanced(ONNXPORT_ONNX_INCLUDE_DIR ONNXPORT_ONNX_LIBRARY ONNXPORT_ONNX_PROTO_LIBRARY)
if(ONNXPORT_ONNX_INCLUDE_DIR AND ONNXPORT_ONNX_LIBRARY AND ONNXPORT_ONNX_PROTO_LIBRARY)
  if(TARGET protobuf::libprotobuf AND NOT TARGET onnxport::onnx)
    add_library(onnxport::onnx_proto STATIC IMPORTED)
    set_target_properties(onnxport::onnx_proto PROPERTIES IMPORTED_LOCATION "${ONNXPORT_ONNX_PROTO_LIBRARY}")
    target_include_directories(onnxport::onnx_proto INTERFACE "${ONNXPORT_ONNX_INCLUDE_DIR}")
    target_compile_definitions(onnxport::onnx_proto INTERFACE ONNX_NAMESPACE=onnxport_onnx ONNX_ML=1)
    target_link_libraries(onnxport::onnx_proto INTERFACE protobuf::libprotobuf Threads::Threads)
    add_library(onnxport::onnx STATIC IMPORTED)
    set_target_properties(onnxport::onnx PROPERTIES IMPORTED_LOCATION "${ONNXPORT_ONNX_LIBRARY}")
    target_link_libraries(onnxport::onnx INTERFACE onnxport::onnx_proto)
  endif()
else()
  list(APPEND _missing "onnx ${ONNXPORT_ONNX_VERSION} (in ${_onnx_root})")
endif()

# --- ONNX Runtime --------------------------------------------------------------------------------------------------
# A user's own wins: ONNXRUNTIME_ROOT, then a package in a place that was named to CMake. Not one of the system's:
# Debian's knows no opset above 22.
if(NOT _ort_root AND NOT ONNXPORT_ORT_INCLUDE_DIR)
  find_package(onnxruntime QUIET CONFIG NO_SYSTEM_ENVIRONMENT_PATH NO_CMAKE_SYSTEM_PATH NO_CMAKE_PACKAGE_REGISTRY
               NO_CMAKE_SYSTEM_PACKAGE_REGISTRY)
  if(onnxruntime_FOUND AND TARGET onnxruntime::onnxruntime)
    get_target_property(_include onnxruntime::onnxruntime INTERFACE_INCLUDE_DIRECTORIES)
    foreach(_configuration IN ITEMS "" _RELEASE _RELWITHDEBINFO _NOCONFIG _DEBUG)
      get_target_property(_library onnxruntime::onnxruntime IMPORTED_LOCATION${_configuration})
      if(_library AND NOT ONNXPORT_ORT_LIBRARY)
        set(ONNXPORT_ORT_LIBRARY "${_library}" CACHE FILEPATH "ONNX Runtime, opened at run time")
      endif()
    endforeach()
    find_path(ONNXPORT_ORT_INCLUDE_DIR onnxruntime_c_api.h PATHS ${_include} NO_DEFAULT_PATH
              PATH_SUFFIXES onnxruntime onnxruntime/core/session)
  endif()
endif()
if(NOT _ort_root)
  set(_ort_root "${ONNXPORT_DEPS}/onnxruntime-${ONNXPORT_ORT_VERSION}")
endif()
find_path(ONNXPORT_ORT_INCLUDE_DIR onnxruntime_c_api.h PATHS "${_ort_root}/include" NO_DEFAULT_PATH
          PATH_SUFFIXES onnxruntime onnxruntime/core/session core/session)
find_library(ONNXPORT_ORT_LIBRARY onnxruntime PATHS "${_ort_root}" NO_DEFAULT_PATH PATH_SUFFIXES lib lib64
             DOC "ONNX Runtime, opened at run time")
mark_as_advanced(ONNXPORT_ORT_INCLUDE_DIR)
if(ONNXPORT_ORT_INCLUDE_DIR)
  if(NOT TARGET onnxport::ort_headers)
    add_library(onnxport::ort_headers INTERFACE IMPORTED)
    target_include_directories(onnxport::ort_headers INTERFACE "${ONNXPORT_ORT_INCLUDE_DIR}")
  endif()
else()
  list(APPEND _missing "the headers of ONNX Runtime (in ${_ort_root}/include)")
endif()
if(NOT ONNXPORT_ORT_LIBRARY)
  list(APPEND _missing "ONNX Runtime (in ${_ort_root}/lib)")
endif()

# --- libtorch ------------------------------------------------------------------------------------------------------
# Found by its files and not by its package file: that one asks for everything that libtorch itself was built with (CUDA,
# protobuf, glog, …) and changes the compiler's flags for the whole project.
if(ONNXPORT_TORCH)
  set(_torch_hints "")
  if(Torch_DIR)
    get_filename_component(_torch_prefix "${Torch_DIR}/../../.." ABSOLUTE)
    list(APPEND _torch_hints "${_torch_prefix}")
  endif()
  find_path(ONNXPORT_TORCH_INCLUDE_DIR ATen/ATen.h HINTS ${_torch_hints} PATH_SUFFIXES include)
  if(ONNXPORT_TORCH_INCLUDE_DIR)
    # The libraries beside the headers come first, so that two installed versions do not mix.
    get_filename_component(_torch_prefix "${ONNXPORT_TORCH_INCLUDE_DIR}" DIRECTORY)
    list(INSERT _torch_hints 0 "${_torch_prefix}")
  endif()
  find_library(ONNXPORT_TORCH_LIBRARY torch HINTS ${_torch_hints} PATH_SUFFIXES lib)
  find_library(ONNXPORT_TORCH_CPU_LIBRARY torch_cpu HINTS ${_torch_hints} PATH_SUFFIXES lib)
  find_library(ONNXPORT_TORCH_C10_LIBRARY c10 HINTS ${_torch_hints} PATH_SUFFIXES lib)
  mark_as_advanced(ONNXPORT_TORCH_INCLUDE_DIR ONNXPORT_TORCH_LIBRARY ONNXPORT_TORCH_CPU_LIBRARY
                   ONNXPORT_TORCH_C10_LIBRARY)
  if(ONNXPORT_TORCH_INCLUDE_DIR AND ONNXPORT_TORCH_LIBRARY AND ONNXPORT_TORCH_CPU_LIBRARY
     AND ONNXPORT_TORCH_C10_LIBRARY)
    set(_torch_config "${_torch_prefix}/share/cmake/Torch/TorchConfig.cmake")
    if(EXISTS "${_torch_config}")
      file(STRINGS "${_torch_config}" _old_abi REGEX "_GLIBCXX_USE_CXX11_ABI=0")
      if(_old_abi)
        message(FATAL_ERROR "the libtorch in ${_torch_prefix} uses the C++ ABI from before C++11, which this project "
                            "cannot link; take the build that is called \"cxx11 ABI\"")
      endif()
    endif()
    set(_torch_api "${ONNXPORT_TORCH_INCLUDE_DIR}/torch/csrc/api/include")
    if(NOT TARGET onnxport::torch)
      add_library(onnxport::torch INTERFACE IMPORTED)
      target_include_directories(onnxport::torch INTERFACE "${ONNXPORT_TORCH_INCLUDE_DIR}" "${_torch_api}")
      target_link_libraries(
        onnxport::torch INTERFACE "${ONNXPORT_TORCH_LIBRARY}" "${ONNXPORT_TORCH_CPU_LIBRARY}"
                                  "${ONNXPORT_TORCH_C10_LIBRARY}" Threads::Threads)
    endif()
    set(ONNXPORT_TORCH_VERSION "of unknown version")
    if(EXISTS "${_torch_api}/torch/version.h")
      file(STRINGS "${_torch_api}/torch/version.h" _version REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
      if(_version MATCHES "MAJOR ([0-9]+).*MINOR ([0-9]+).*PATCH ([0-9]+)")
        set(ONNXPORT_TORCH_VERSION "${CMAKE_MATCH_1}.${CMAKE_MATCH_2}.${CMAKE_MATCH_3}")
      endif()
    endif()
    if(CMAKE_CXX_COMPILER_ID MATCHES "Clang" AND ONNXPORT_TORCH_VERSION VERSION_LESS 2)
      message(WARNING "the headers of libtorch ${ONNXPORT_TORCH_VERSION} do not compile as C++20 with clang; build with gcc, "
                      "or with libtorch 2, or without the reference back end: -DONNXPORT_TORCH=OFF")
    endif()
  else()
    list(APPEND _missing "libtorch (or build without the reference back end: -DONNXPORT_TORCH=OFF)")
  endif()
endif()

if(_missing)
  string(REPLACE ";" "\n  " _missing "${_missing}")
  message(FATAL_ERROR "not found:\n  ${_missing}\nrun ./scripts/setup")
endif()

if(NOT ONNXPORT_TORCH)
  set(ONNXPORT_TORCH_VERSION "off")
endif()
message(STATUS "onnxport: Boost ${Boost_VERSION}, onnx ${ONNXPORT_ONNX_VERSION}, libtorch ${ONNXPORT_TORCH_VERSION}, "
               "ONNX Runtime ${ONNXPORT_ORT_LIBRARY}")
