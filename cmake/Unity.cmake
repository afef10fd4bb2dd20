# Sources that are compiled together, with -DONNXPORT_UNITY=ON: what they share of headers and templates is compiled once for all of
# them, and a build from nothing takes little more than half the time; one after a change takes longer. The names that each of the
# sources has to itself must differ then from those of its neighbours.
option(ONNXPORT_UNITY "Compile several sources at once: faster from nothing, slower after a change" OFF)

# What tests/checks.cmake compiles once more with ThreadSanitizer, without the rest of the folder. In a library's member of its own
# the linker leaves out the form that is not instrumented.
set(ONNXPORT_THREADED_SOURCES
    core/checkpoint/parallel_writer.cpp core/definition/host_tables.cpp registry/loader.cpp host/export_command.cpp
    host/process/console.cpp)
list(TRANSFORM ONNXPORT_THREADED_SOURCES PREPEND "${PROJECT_SOURCE_DIR}/")

# onnxport_unite(TARGET): up to ten sources of a folder become one. Tests, which name their fixtures alike, have a namespace each;
# what stands beside them stays apart.
function(onnxport_unite target)
  if(NOT ONNXPORT_UNITY)
    return()
  endif()
  get_target_property(sources ${target} SOURCES)
  list(SORT sources)
  set(groups "")
  foreach(source IN LISTS sources)
    cmake_path(ABSOLUTE_PATH source NORMALIZE)
    if(source IN_LIST ONNXPORT_THREADED_SOURCES OR (source MATCHES "^${PROJECT_SOURCE_DIR}/tests/" AND NOT source MATCHES "_test[.]cpp$"))
      continue()
    endif()
    cmake_path(GET source PARENT_PATH folder)
    cmake_path(RELATIVE_PATH folder BASE_DIRECTORY "${PROJECT_SOURCE_DIR}" OUTPUT_VARIABLE group)
    string(MAKE_C_IDENTIFIER "${group}" group)
    list(APPEND groups ${group})
    list(APPEND sources_of_${group} "${source}")
  endforeach()
  list(REMOVE_DUPLICATES groups)
  foreach(group IN LISTS groups)
    set(batch 0)
    while(sources_of_${group})
      list(SUBLIST sources_of_${group} 0 10 some)
      list(REMOVE_ITEM sources_of_${group} ${some})
      list(LENGTH some count)
      if(count GREATER 1)
        set_source_files_properties(${some} PROPERTIES UNITY_GROUP "${group}_${batch}")
      endif()
      math(EXPR batch "${batch} + 1")
    endwhile()
  endforeach()
  # GCC believes of values in std::variant that they are read before they are set, where it sees that many functions at once.
  # A source of several includes them, and in what is included it warns of names that only one source has.
  target_compile_options(${target} PRIVATE "$<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized;-Wno-subobject-linkage>")
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
endfunction()
