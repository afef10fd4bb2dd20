# What an installation holds: the command, back ends and plugins, the SDK with its CMake package, and the recorder. Targets and plugins
# install themselves where they are defined; paths are relative, so that the tree can be moved.
include(CMakePackageConfigHelpers)

install(DIRECTORY "${PROJECT_SOURCE_DIR}/sdk/include/" DESTINATION include)
configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/onnxportConfig.cmake.in" "${PROJECT_BINARY_DIR}/onnxportConfig.cmake"
                              INSTALL_DESTINATION lib/cmake/onnxport)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/onnxportConfigVersion.cmake" COMPATIBILITY SameMajorVersion)
install(FILES "${PROJECT_BINARY_DIR}/onnxportConfig.cmake" "${PROJECT_BINARY_DIR}/onnxportConfigVersion.cmake"
              "${CMAKE_CURRENT_LIST_DIR}/OnnxportAddPlugin.cmake"
        DESTINATION lib/cmake/onnxport)
install(DIRECTORY "${PROJECT_SOURCE_DIR}/scripts/record" DESTINATION share/onnxport PATTERN "__pycache__" EXCLUDE)
# What authors begin with: the sources of the plugins, with a recorded case of each whose weights are drawn, and a template.
install(DIRECTORY "${PROJECT_SOURCE_DIR}/plugins/" DESTINATION share/onnxport/samples
        FILES_MATCHING PATTERN "*.cpp" PATTERN "*.hpp" PATTERN "index.json" PATTERN "config.json" PATTERN "case-*-0.safetensors")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/examples/third-party-plugin/" DESTINATION share/onnxport/template
        PATTERN "__pycache__" EXCLUDE)
# Where the build's own command looks for them.
file(MAKE_DIRECTORY "${PROJECT_BINARY_DIR}/share/onnxport")
file(CREATE_LINK "${PROJECT_SOURCE_DIR}/scripts/record" "${PROJECT_BINARY_DIR}/share/onnxport/record" SYMBOLIC)
file(CREATE_LINK "${PROJECT_SOURCE_DIR}/plugins" "${PROJECT_BINARY_DIR}/share/onnxport/samples" SYMBOLIC)
file(CREATE_LINK "${PROJECT_SOURCE_DIR}/examples/third-party-plugin" "${PROJECT_BINARY_DIR}/share/onnxport/template" SYMBOLIC)
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION share/doc/onnxport)
