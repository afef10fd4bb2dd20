# onnxport_install_program(TARGET
#                          DESTINATION folder     below the prefix
#                          LIBRARIES folder       of the libraries that come along, seen from there
#                          [COMPONENT name])      runtime, or reference
#
# Installs a program or a library of this project: stripped, with what it needs found relative to itself. Its debug
# information is the component `debug`, which is installed only where it is asked for, below lib/debug/.build-id as debuggers
# look for it (`set debug-file-directory PREFIX/lib/debug`). The global properties ONNXPORT_PROGRAMS_runtime and
# ONNXPORT_PROGRAMS_reference list the targets.
function(onnxport_install_program target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "DESTINATION;LIBRARIES;COMPONENT" "")
  if(NOT arg_COMPONENT)
    set(arg_COMPONENT runtime)
  endif()
  # In its old form the path also serves what the libraries themselves need, those of a distribution included.
  set_target_properties(${target} PROPERTIES INSTALL_RPATH "$ORIGIN/${arg_LIBRARIES}")
  target_link_options(${target} PRIVATE LINKER:--disable-new-dtags LINKER:--build-id)
  install(TARGETS ${target}
          RUNTIME DESTINATION "${arg_DESTINATION}" COMPONENT ${arg_COMPONENT}
          LIBRARY DESTINATION "${arg_DESTINATION}" COMPONENT ${arg_COMPONENT} NAMELINK_SKIP)
  if(CMAKE_STRIP)
    install(CODE "execute_process(COMMAND \"${CMAKE_STRIP}\" --strip-unneeded
      \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${arg_DESTINATION}/$<TARGET_FILE_NAME:${target}>\" COMMAND_ERROR_IS_FATAL ANY)"
            COMPONENT ${arg_COMPONENT})
  endif()
  if(CMAKE_OBJCOPY AND CMAKE_READELF)
    install(CODE "set(program \"$<TARGET_FILE:${target}>\")
      set(objcopy \"${CMAKE_OBJCOPY}\")
      set(readelf \"${CMAKE_READELF}\")
      include(\"${PROJECT_SOURCE_DIR}/cmake/InstallDebugInformation.cmake\")"
            COMPONENT debug EXCLUDE_FROM_ALL)
  endif()
  set_property(GLOBAL APPEND PROPERTY ONNXPORT_PROGRAMS_${arg_COMPONENT} ${target})
endfunction()
