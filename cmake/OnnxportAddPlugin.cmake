# onnxport_add_plugin(NAME
#                     [SOURCES file ...]         default: NAME.cpp; C and C++
#                     [MANIFEST file]            default: plugin.yaml where there is one, else made of what the library says
#                     [UNCHECKED]                the manifest is not compared with the library
#                     [OUTPUT_DIRECTORY folder]  default: ${CMAKE_BINARY_DIR}/lib/onnxport/plugins
#                     [NO_INSTALL])
#
# Builds a plugin: OUTPUT_DIRECTORY/NAME/libonnxport_NAME.so, which exports the entry function and nothing else, and
# beside it plugin.yaml. The target is called onnxport_plugin_NAME; the global property ONNXPORT_PLUGINS
# lists the targets. Installs both files below lib/onnxport/plugins as component `plugins` unless NO_INSTALL is given; with
# ONNXPORT_INSTALL_FOR_USER=ON (`cmake -B build -DONNXPORT_INSTALL_FOR_USER=ON`) in the folder where onnxport looks for the
# user's own, whatever the prefix.
#
# The variables ONNXPORT_PLUGIN_VERSION, ONNXPORT_PLUGIN_LICENSE and ONNXPORT_PLUGIN_VENDOR, where set, are what a plugin
# states that leaves its own out.
#
# A file recognised_by.yaml beside the sources is put into the manifest: what only a manifest says.
#
# A folder packages/ beside the sources goes with the plugin: what it adds to the packages of files that the host writes.
#
# onnxport_add_plugin_test(NAME
#                          [CASES folder ...]    recorded cases with an index.json
#                          [CONFIGS file ...]    a config.json, or a folder of them, for what is not recorded
#                          [TIME_LIMIT seconds]  for each step; default 300)
#
# Adds the test NAME_check: `onnxport plugins check --run` on the plugin NAME of this project.
#
# onnxport_platform(VARIABLE) gives the name of the target platform, such as linux-x86_64.
#
# The program onnxport::manifest opens the library and writes down what it says; a manifest that was written by hand must
# say the same. Where the library cannot be opened, as in a cross build, a manifest is needed, and not compared. What is
# only known after the build is added by this file, as a script:
#   cmake -D LIBRARY=file.so -D PLATFORM=linux-x86_64 [-D MANIFEST=plugin.yaml] [-D PROGRAM=onnxport_manifest]
#         [-D RECOGNISED_BY=file.yaml] -P OnnxportAddPlugin.cmake

if(CMAKE_SCRIPT_MODE_FILE AND CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  get_filename_component(_folder "${LIBRARY}" DIRECTORY)
  get_filename_component(_name "${LIBRARY}" NAME)
  set(_facts "# Made of what the library says of itself.\n")
  if(PROGRAM)
    # With a manifest the program compares, and prints nothing.
    execute_process(COMMAND "${PROGRAM}" "${LIBRARY}" ${MANIFEST} OUTPUT_VARIABLE _printed RESULT_VARIABLE _status)
    if(NOT _status EQUAL 0)
      file(REMOVE "${_folder}/plugin.yaml")
      message(FATAL_ERROR "${_name} has no manifest: ${PROGRAM} ended with ${_status}")
    endif()
    string(APPEND _facts "${_printed}")
  endif()
  if(MANIFEST)
    file(READ "${MANIFEST}" _facts)
    if("\n${_facts}" MATCHES "\n(manifest|platform|library|sha256) *:")
      message(FATAL_ERROR "${MANIFEST}: '${CMAKE_MATCH_1}' is written by the build; remove it from the source form")
    endif()
  endif()
  if(RECOGNISED_BY)
    file(READ "${RECOGNISED_BY}" _recognised_by)
    string(APPEND _facts "${_recognised_by}")
  endif()
  file(SHA256 "${LIBRARY}" _sum)
  # At the end, so that an author's lines keep their numbers in messages.
  set(_built "\n# Written by the build.\nmanifest: 1\n")
  if(NOT "\n${_facts}" MATCHES "\nabi *:")
    string(APPEND _built "abi: \"1.0\"\n")
  endif()
  string(APPEND _built "platform: ${PLATFORM}\nlibrary: ${_name}\nsha256: ${_sum}\n")
  file(WRITE "${_folder}/plugin.yaml" "${_facts}${_built}")
  return()
endif()

include_guard(GLOBAL)

option(ONNXPORT_INSTALL_FOR_USER "Install plugins in the user's folder of them instead of the prefix" OFF)

function(onnxport_platform variable)
  string(TOLOWER "${CMAKE_SYSTEM_NAME}-${CMAKE_SYSTEM_PROCESSOR}" platform)
  set(${variable} "${platform}" PARENT_SCOPE)
endfunction()

function(onnxport_add_plugin name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "NO_INSTALL;UNCHECKED" "MANIFEST;OUTPUT_DIRECTORY" "SOURCES")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "onnxport_add_plugin(${name}): unknown arguments ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT name MATCHES "^[A-Za-z0-9_.-]+$")
    message(FATAL_ERROR "onnxport_add_plugin(${name}): the name becomes a file name; use letters, digits, '_', '-', '.'")
  endif()
  if(NOT arg_SOURCES)
    set(arg_SOURCES "${name}.cpp")
  endif()
  if(NOT arg_MANIFEST AND EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/plugin.yaml")
    set(arg_MANIFEST plugin.yaml)
  endif()
  set(manifest "")
  if(arg_MANIFEST)
    get_filename_component(manifest "${arg_MANIFEST}" ABSOLUTE)
    if(NOT EXISTS "${manifest}")
      message(FATAL_ERROR "onnxport_add_plugin(${name}): ${manifest} is missing; docs/plugins.md gives its format")
    endif()
  endif()
  set(program "")
  if(TARGET onnxport::manifest AND NOT arg_UNCHECKED AND NOT CMAKE_CROSSCOMPILING)
    set(program "$<TARGET_FILE:onnxport::manifest>")
  elseif(NOT manifest)
    message(FATAL_ERROR "onnxport_add_plugin(${name}): what the library says cannot be asked for here; write a plugin.yaml "
                        "by hand, whose format docs/plugins.md gives")
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
               DEFINE_SYMBOL ""
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
    if(TARGET onnxport_sdk_compiled)
      target_link_libraries(${target} PRIVATE onnxport_sdk_compiled)
    endif()
    # As the target does for its own folder: lines that errors name leave the builder's folders out.
    get_target_property(installed onnxport::sdk IMPORTED)
    if(installed)
      target_compile_options(${target} PRIVATE "-fmacro-prefix-map=${CMAKE_SOURCE_DIR}/=")
    endif()
  elseif(EXISTS "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../sdk/include/onnxport/abi.h")
    target_include_directories(${target} PRIVATE "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../sdk/include")
  else()
    message(FATAL_ERROR "onnxport_add_plugin(${name}): the target onnxport::sdk is missing; find_package(onnxport) brings it")
  endif()

  foreach(fact IN ITEMS VERSION LICENSE VENDOR)
    if(ONNXPORT_PLUGIN_${fact})
      target_compile_definitions(${target} PRIVATE "ONNXPORT_PLUGIN_${fact}=\"${ONNXPORT_PLUGIN_${fact}}\"")
    endif()
  endforeach()

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

  file(GLOB_RECURSE additions RELATIVE "${CMAKE_CURRENT_SOURCE_DIR}" CONFIGURE_DEPENDS packages/*)
  foreach(addition IN LISTS additions)
    configure_file("${addition}" "${folder}/${addition}" COPYONLY)
  endforeach()

  onnxport_platform(platform)
  set(recognised_by "")
  if(EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/recognised_by.yaml")
    set(recognised_by "${CMAKE_CURRENT_SOURCE_DIR}/recognised_by.yaml")
  endif()
  # What makes the manifest is part of the link: after a change of it, both are made again.
  set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS ${manifest} ${recognised_by} ${program}
                                                "${CMAKE_CURRENT_FUNCTION_LIST_FILE}")
  add_custom_command(
    TARGET ${target}
    POST_BUILD
    COMMAND "${CMAKE_COMMAND}" -D "LIBRARY=$<TARGET_FILE:${target}>" -D "PLATFORM=${platform}" -D "MANIFEST=${manifest}" -D
            "PROGRAM=${program}" -D "RECOGNISED_BY=${recognised_by}" -P "${CMAKE_CURRENT_FUNCTION_LIST_FILE}"
    BYPRODUCTS "${folder}/plugin.yaml"
    VERBATIM)
  set_property(GLOBAL APPEND PROPERTY ONNXPORT_PLUGINS ${target})
  if(NOT arg_NO_INSTALL)
    # As plain files: stripping would change the sum.
    set(destination "lib/onnxport/plugins")
    if(ONNXPORT_INSTALL_FOR_USER AND NOT "$ENV{XDG_DATA_HOME}" STREQUAL "")
      set(destination "$ENV{XDG_DATA_HOME}/onnxport/plugins")
    elseif(ONNXPORT_INSTALL_FOR_USER)
      set(destination "$ENV{HOME}/.local/share/onnxport/plugins")
    endif()
    install(FILES "$<TARGET_FILE:${target}>" "${folder}/plugin.yaml" DESTINATION "${destination}/${name}" COMPONENT plugins)
    if(EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/packages")
      install(DIRECTORY packages DESTINATION "${destination}/${name}" COMPONENT plugins)
    endif()
  endif()
endfunction()

function(onnxport_add_plugin_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIME_LIMIT" "CASES;CONFIGS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "onnxport_add_plugin_test(${name}): unknown arguments ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT TARGET "onnxport_plugin_${name}")
    message(FATAL_ERROR "onnxport_add_plugin_test(${name}): call onnxport_add_plugin(${name}) first")
  endif()
  if(NOT TARGET onnxport::onnxport)
    message(FATAL_ERROR "onnxport_add_plugin_test(${name}): the command is missing; find_package(onnxport) brings it")
  endif()
  if(NOT arg_CASES AND NOT arg_CONFIGS)
    message(FATAL_ERROR "onnxport_add_plugin_test(${name}): name CASES or CONFIGS to try it on")
  endif()
  set(words "")
  foreach(folder IN LISTS arg_CASES)
    get_filename_component(path "${folder}" ABSOLUTE)
    list(APPEND words --cases "${path}")
  endforeach()
  foreach(config IN LISTS arg_CONFIGS)
    get_filename_component(path "${config}" ABSOLUTE)
    list(APPEND words --config "${path}")
  endforeach()
  if(arg_TIME_LIMIT)
    list(APPEND words --time-limit "${arg_TIME_LIMIT}")
  endif()
  add_test(NAME "${name}_check" COMMAND onnxport::onnxport plugins check "$<TARGET_FILE_DIR:onnxport_plugin_${name}>" --run ${words})
endfunction()
