# Packages of what cmake/Install.cmake installs: `cpack -G DEB` and `cpack -G TGZ` in the build folder.
#   onnxport_VERSION_ARCH.deb, onnxport-plugins_…, onnxport-dev_…, onnxport-reference_…
#                     for the distribution that they are built on, whose libraries they depend on
#   onnxport-VERSION-Linux-ARCH.tar.gz, onnxport-reference-VERSION-Linux-ARCH.tar.gz
#                     for any machine with a C library as new as the builder's; unpack both to the same place, anywhere
set(CPACK_PACKAGE_NAME onnxport)
set(CPACK_PACKAGE_VENDOR "onnxport")
set(CPACK_PACKAGE_CONTACT "The onnxport project <onnxport@example.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Hugging Face checkpoints to ONNX")
set(CPACK_RESOURCE_FILE_LICENSE "${PROJECT_SOURCE_DIR}/LICENSE")
set(CPACK_PACKAGE_FILE_NAME "onnxport-${PROJECT_VERSION}-${CMAKE_SYSTEM_NAME}-${CMAKE_SYSTEM_PROCESSOR}")
set(CPACK_PROJECT_CONFIG_FILE "${CMAKE_CURRENT_LIST_DIR}/PackagesByGenerator.cmake")
set(CPACK_VERBATIM_VARIABLES ON)
# All cores where the machine has several.
set(CPACK_THREADS 0)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_ARCHIVE_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL runtime plugins dev libraries)
set(CPACK_ONNXPORT_TORCH "${ONNXPORT_TORCH}")

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(_same "onnxport (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME onnxport)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_RECOMMENDS "onnxport-plugins, onnxport-reference, ca-certificates")
set(CPACK_COMPONENT_RUNTIME_DESCRIPTION "The command onnxport, libonnxport, and ONNX Runtime")
set(CPACK_DEBIAN_PLUGINS_PACKAGE_NAME onnxport-plugins)
set(CPACK_DEBIAN_PLUGINS_PACKAGE_DEPENDS "${_same}")
set(CPACK_COMPONENT_PLUGINS_DESCRIPTION "The architectures that onnxport exports")
set(CPACK_DEBIAN_DEV_PACKAGE_NAME onnxport-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "${_same}")
set(CPACK_DEBIAN_DEV_PACKAGE_RECOMMENDS "cmake, g++, nlohmann-json3-dev, pkgconf")
set(CPACK_COMPONENT_DEV_DESCRIPTION "Headers and CMake packages for plugins of onnxport and programs that export")
set(CPACK_DEBIAN_REFERENCE_PACKAGE_NAME onnxport-reference)
set(CPACK_DEBIAN_REFERENCE_PACKAGE_DEPENDS "${_same}")
set(CPACK_COMPONENT_REFERENCE_DESCRIPTION "The back end of libtorch, which onnxport compares exports with")
# A libtorch that is no package of the distribution is brought along.
if(ONNXPORT_TORCH AND NOT ONNXPORT_TORCH_CPU_LIBRARY MATCHES "^/usr/lib/")
  set(CPACK_ONNXPORT_OWN_TORCH ON)
endif()

# In the archives the reference is a file of its own: libtorch is most of the bytes.
include(CPackComponent)
foreach(component IN ITEMS runtime plugins dev libraries)
  cpack_add_component(${component} GROUP onnxport)
endforeach()
foreach(component IN ITEMS reference reference_libraries)
  cpack_add_component(${component} GROUP reference)
endforeach()
set(CPACK_ARCHIVE_ONNXPORT_FILE_NAME "${CPACK_PACKAGE_FILE_NAME}")
set(CPACK_ARCHIVE_REFERENCE_FILE_NAME "onnxport-reference-${PROJECT_VERSION}-${CMAKE_SYSTEM_NAME}-${CMAKE_SYSTEM_PROCESSOR}")
include(CPack)
