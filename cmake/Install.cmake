# What an installation holds, by component:
#   runtime      the command, libonnxport, the back ends for ONNX Runtime and for downloads, ONNX Runtime itself
#   plugins      the architectures
#   reference    the back end of libtorch, which validation compares with
#   dev          headers, the CMake package, the pkg-config file, the recorder of cases, examples
#   libraries, reference_libraries    what runtime and reference link of the build machine, so that the tree works on others;
#                off with ONNXPORT_BUNDLE, and not in Debian's packages, which depend on those of the distribution
#   debug        debug information; installed only where it is named
# Targets and plugins install themselves where they are defined. Paths are relative, so that the tree can be moved.
include(CMakePackageConfigHelpers)
option(ONNXPORT_BUNDLE "Install the libraries that the programs need beside them" ON)

set(_licences share/doc/onnxport/licences)

# --- development -----------------------------------------------------------------------------------------------------
install(DIRECTORY "${PROJECT_SOURCE_DIR}/sdk/include/" DESTINATION include COMPONENT dev)
configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/onnxportConfig.cmake.in" "${PROJECT_BINARY_DIR}/onnxportConfig.cmake"
                              INSTALL_DESTINATION lib/cmake/onnxport)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/onnxportConfigVersion.cmake" COMPATIBILITY SameMajorVersion)
install(FILES "${PROJECT_BINARY_DIR}/onnxportConfig.cmake" "${PROJECT_BINARY_DIR}/onnxportConfigVersion.cmake"
              "${CMAKE_CURRENT_LIST_DIR}/OnnxportAddPlugin.cmake"
        DESTINATION lib/cmake/onnxport COMPONENT dev)
configure_file("${CMAKE_CURRENT_LIST_DIR}/onnxport.pc.in" "${PROJECT_BINARY_DIR}/onnxport.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/onnxport.pc" DESTINATION lib/pkgconfig COMPONENT dev)
install(DIRECTORY "${PROJECT_SOURCE_DIR}/scripts/record" DESTINATION share/onnxport COMPONENT dev PATTERN "__pycache__" EXCLUDE)
# What authors begin with: the sources of the plugins, with a recorded case of each whose weights are drawn, and a template.
install(DIRECTORY "${PROJECT_SOURCE_DIR}/plugins/" DESTINATION share/onnxport/samples COMPONENT dev
        FILES_MATCHING PATTERN "*.cpp" PATTERN "*.hpp" PATTERN "index.json" PATTERN "config.json" PATTERN "case-*-0.safetensors")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/examples/third-party-plugin/" DESTINATION share/onnxport/template COMPONENT dev
        PATTERN "__pycache__" EXCLUDE)
# Where the build's own command looks for them.
file(MAKE_DIRECTORY "${PROJECT_BINARY_DIR}/share/onnxport")
file(CREATE_LINK "${PROJECT_SOURCE_DIR}/scripts/record" "${PROJECT_BINARY_DIR}/share/onnxport/record" SYMBOLIC)
file(CREATE_LINK "${PROJECT_SOURCE_DIR}/plugins" "${PROJECT_BINARY_DIR}/share/onnxport/samples" SYMBOLIC)
file(CREATE_LINK "${PROJECT_SOURCE_DIR}/examples/third-party-plugin" "${PROJECT_BINARY_DIR}/share/onnxport/template" SYMBOLIC)
install(DIRECTORY "${PROJECT_SOURCE_DIR}/examples" DESTINATION share/doc/onnxport COMPONENT dev
        PATTERN "__pycache__" EXCLUDE PATTERN "export-one" EXCLUDE)
install(PROGRAMS examples/batch/export-one DESTINATION share/doc/onnxport/examples/batch COMPONENT dev)
# What batches run: outside of the documentation, which small images leave out.
install(FILES examples/batch/Makefile examples/batch/README.md examples/batch/export.sbatch examples/batch/job.yaml
        DESTINATION share/onnxport/batch COMPONENT runtime)
install(PROGRAMS examples/batch/export-one DESTINATION share/onnxport/batch COMPONENT runtime)

# --- documentation ---------------------------------------------------------------------------------------------------
install(FILES LICENSE CHANGELOG.md CONTRIBUTING.md README.md SECURITY.md
        DESTINATION share/doc/onnxport COMPONENT runtime)
install(DIRECTORY "${PROJECT_SOURCE_DIR}/docs/" DESTINATION share/doc/onnxport COMPONENT runtime
        FILES_MATCHING PATTERN "*.md" PATTERN "*.svg" PATTERN "*.tsv" PATTERN "*.schema.json"
        PATTERN "generate" EXCLUDE PATTERN "site" EXCLUDE)
install(SCRIPT "${PROJECT_SOURCE_DIR}/cmake/InstalledLinks.cmake" COMPONENT runtime)

# --- ONNX Runtime ----------------------------------------------------------------------------------------------------
get_filename_component(_ort "${ONNXPORT_ORT_LIBRARY}" REALPATH)
get_filename_component(_ort_root "${_ort}" DIRECTORY)
get_filename_component(_ort_root "${_ort_root}" DIRECTORY)
install(FILES "${_ort}" DESTINATION lib/onnxport/lib RENAME libonnxruntime.so.1 COMPONENT runtime
        PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
foreach(_text IN ITEMS LICENSE ThirdPartyNotices.txt)
  if(EXISTS "${_ort_root}/${_text}")
    install(FILES "${_ort_root}/${_text}" DESTINATION ${_licences}/onnxruntime COMPONENT runtime)
  else()
    message(WARNING "${_ort_root}/${_text} is missing: an installation will lack a part of the licence of ONNX Runtime")
  endif()
endforeach()

# What Debian keeps of a package's documentation in any case: one text a package, the library's own terms included.
function(_onnxport_install_copyright component package)
  set(text "${PROJECT_BINARY_DIR}/copyright/${package}")
  file(READ "${PROJECT_SOURCE_DIR}/LICENSE" terms)
  file(WRITE "${text}" "onnxport stands under these terms.\n\n${terms}")
  foreach(other IN LISTS ARGN)
    if(EXISTS "${other}")
      file(READ "${other}" terms)
      file(APPEND "${text}" "\n\nONNX Runtime, lib/onnxport/lib/libonnxruntime.so.1, stands under these.\n\n${terms}")
    endif()
  endforeach()
  install(FILES "${text}" DESTINATION "share/doc/${package}" RENAME copyright COMPONENT ${component})
endfunction()
_onnxport_install_copyright(runtime onnxport "${_ort_root}/LICENSE" "${_ort_root}/ThirdPartyNotices.txt")
_onnxport_install_copyright(plugins onnxport-plugins)
_onnxport_install_copyright(dev onnxport-dev)
if(ONNXPORT_TORCH)
  _onnxport_install_copyright(reference onnxport-reference)
endif()

# --- the libraries that come along -----------------------------------------------------------------------------------
function(_onnxport_install_libraries component of)
  get_property(targets GLOBAL PROPERTY ONNXPORT_PROGRAMS_${of})
  if(NOT ONNXPORT_BUNDLE OR NOT targets)
    return()
  endif()
  set(programs "")
  foreach(target IN LISTS targets)
    string(APPEND programs " \"$<TARGET_FILE:${target}>\"")
  endforeach()
  set(directories "")
  if(ONNXPORT_TORCH AND of STREQUAL reference)
    get_filename_component(directories "${ONNXPORT_TORCH_CPU_LIBRARY}" DIRECTORY)
  endif()
  install(CODE "set(programs${programs})
    set(directories \"${directories}\")
    set(folder lib/onnxport/lib)
    set(licences ${_licences})
    include(\"${PROJECT_SOURCE_DIR}/cmake/InstallLibraries.cmake\")"
          COMPONENT ${component})
endfunction()
_onnxport_install_libraries(libraries runtime)
_onnxport_install_libraries(reference_libraries reference)
