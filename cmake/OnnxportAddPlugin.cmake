# onnxport_add_plugin(NAME
#                     [SOURCES file ...]         default: NAME.cpp; C and C++
#                     [MANIFEST file]            default: plugin.yaml
#                     [OUTPUT_DIRECTORY folder]  default: ${CMAKE_BINARY_DIR}/lib/onnxport/plugins
#                     [NO_INSTALL])
#
# Builds a plugin: OUTPUT_DIRECTORY/NAME/libonnxport_NAME.so, which exports the entry function and nothing else, and
# beside it the built plugin.yaml. The target is called onnxport_plugin_NAME; the global property ONNXPORT_PLUGINS
# lists the targets. Installs both files below lib/onnxport/plugins unless NO_INSTALL is given.
#
# onnxport_platform(VARIABLE) gives the name of the target platform, such as linux-x86_64.
#
# The built manifest is the source manifest with what is only known after the build. This file writes it, too, as a
# script: cmake -D SOURCE=plugin.yaml -D LIBRARY=file.so -D PLATFORM=linux-x86_64 -P OnnxportAddPlugin.cmake

if(CMAKE_SCRIPT_MODE_FILE AND CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  file(READ "${SOURCE}" _manifest)
  if("\n${_manifest}" MATCHES "\n(manifest|platform|library|sha256) *:")
    message(FATAL_ERROR "${SOURCE}: '${CMAKE_MATCH_1}' is written by the build; remove it from the source form")
  endif()
  get_filename_component(_folder "${LIBRARY}" DIRECTORY)
  get_filename_component(_name "${LIBRARY}" NAME)
  file(SHA256 "${LIBRARY}" _sum)
  # At the end, so that the author's lines keep their numbers in messages.
  set(_built "\n# Written by the build.\nmanifest: 1\n")
  if(NOT "\n${_manifest}" MATCHES "\nabi *:")
    string(APPEND _built "abi: \"1.0\"\n")
  endif()
  string(APPEND _built "platform: ${PLATFORM}\nlibrary: ${_name}\nsha256: ${_sum}\n")
  file(WRITE "${_folder}/plugin.yaml" "${_manifest}${_built}")
  return()
endif()

include_guard(GLOBAL)

function(onnxport_platform variable)
  string(TOLOWER "${CMAKE_SYSTEM_NAME}-${CMAKE_SYSTEM_PROCESSOR}" platform)
  set(${variable} "${platform}" PARENT_SCOPE)
endfunction()

function(onnxport_add_plugin name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "NO_INSTALL" "MANIFEST;OUTPUT_DIRECTORY" "SOURCES")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "onnxport_add_plugin(${name}): unknown arguments ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT name MATCHES "^[A-Za-z0-9_.-]+$")
    message(FATAL_ERROR "onnxport_add_plugin(${name}): the name becomes a file name; use letters, digits, '_', '-', '.'")
  endif()
  if(NOT arg_SOURCES)
    set(arg_SOURCES "${name}.cpp")
  endif()
  if(NOT arg_MANIFEST)
    set(arg_MANIFEST plugin.yaml)
  endif()
  get_filename_component(manifest "${arg_MANIFEST}" ABSOLUTE)
  if(NOT EXISTS "${manifest}")
    message(FATAL_ERROR "onnxport_add_plugin(${name}): ${manifest} is missing; docs/plugins.md gives its format")
  endif()
  if(NOT arg_OUTPUT_DIRECTORY)
    set(arg_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib/onnxport/plugins")
  endif()
  set(folder "${arg_OUTPUT_DIRECTORY}/${name}")
  set(target "onnxport_plugin_${name}")

  add_library(${target} MODULE ${arg_SOURCES})
  set_target_properties(
    ${target}
    PROPERTIES PREFIX lib
               OUTPUT_NAME "onnxport_${name}"
               SUFFIX .so
               # The generator expression keeps generators with several configurations from adding a folder.
               LIBRARY_OUTPUT_DIRECTORY "${folder}$<0:>"
               DEBUG_POSTFIX ""
               C_STANDARD 11
               C_STANDARD_REQUIRED ON
               C_VISIBILITY_PRESET hidden
               CXX_STANDARD 20
               CXX_STANDARD_REQUIRED ON
               CXX_EXTENSIONS OFF
               CXX_VISIBILITY_PRESET hidden
               VISIBILITY_INLINES_HIDDEN ON
               # Nothing of the build machine goes into the library, and an installation does not change it.
               SKIP_BUILD_RPATH ON)
  if(TARGET onnxport::sdk)
    target_link_libraries(${target} PRIVATE onnxport::sdk)
  elseif(EXISTS "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../sdk/include/onnxport/abi.h")
    target_include_directories(${target} PRIVATE "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../sdk/include")
  else()
    message(FATAL_ERROR "onnxport_add_plugin(${name}): the target onnxport::sdk is missing; find_package(onnxport) brings it")
  endif()

  # Hidden visibility leaves what the standard library's templates instantiate; two plugins must not share those.
  if(APPLE)
    target_link_options(${target} PRIVATE "LINKER:-exported_symbol,_onnxport_plugin_entry")
  else()
    set(exports "${CMAKE_CURRENT_BINARY_DIR}/${target}.exports")
    file(CONFIGURE OUTPUT "${exports}" CONTENT "{\n  global: onnxport_plugin_entry;\n  local: *;\n};\n")
    target_link_options(${target} PRIVATE "LINKER:--version-script=${exports}")
    # A sanitizer's own symbols are found in the program.
    if(NOT "${CMAKE_C_FLAGS} ${CMAKE_CXX_FLAGS}" MATCHES "-fsanitize")
      target_link_options(${target} PRIVATE "LINKER:--no-undefined")
    endif()
    set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS "${exports}")
  endif()

  # The host hashes the file each time it loads it, and nine tenths of it would be debug information.
  if(NOT APPLE)
    target_link_options(${target} PRIVATE "$<$<NOT:$<CONFIG:Debug>>:LINKER:--strip-debug>")
  endif()

  onnxport_platform(platform)
  set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS "${manifest}" "${CMAKE_CURRENT_FUNCTION_LIST_FILE}")
  add_custom_command(
    TARGET ${target}
    POST_BUILD
    COMMAND "${CMAKE_COMMAND}" -D "SOURCE=${manifest}" -D "LIBRARY=$<TARGET_FILE:${target}>" -D "PLATFORM=${platform}" -P
            "${CMAKE_CURRENT_FUNCTION_LIST_FILE}"
    BYPRODUCTS "${folder}/plugin.yaml"
    VERBATIM)
  set_property(GLOBAL APPEND PROPERTY ONNXPORT_PLUGINS ${target})
  if(NOT arg_NO_INSTALL)
    # As plain files: stripping would change the sum.
    install(FILES "$<TARGET_FILE:${target}>" "${folder}/plugin.yaml" DESTINATION "lib/onnxport/plugins/${name}")
  endif()
endfunction()
