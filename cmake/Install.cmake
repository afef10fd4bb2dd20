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
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION share/doc/onnxport)
