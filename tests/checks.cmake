# The checks of scripts/check, an entry each: what is not run is reported as skipped, with the reason in its output.
function(onnxport_add_check name)
  cmake_parse_arguments(arg "" "TIMEOUT" "" ${ARGN})
  add_test(NAME check_${name} COMMAND "${PROJECT_SOURCE_DIR}/scripts/check" ${name})
  set_tests_properties(check_${name} PROPERTIES SKIP_RETURN_CODE 77 LABELS checks TIMEOUT ${arg_TIMEOUT}
    ENVIRONMENT "ONNXPORT_BUILD=${CMAKE_BINARY_DIR};ONNXPORT_DEPS=${ONNXPORT_DEPS}")
endfunction()

foreach(name IN ITEMS format headers_gcc headers_clang misuse_gcc misuse_clang)
  onnxport_add_check(${name} TIMEOUT 600)
endforeach()
onnxport_add_check(site TIMEOUT 900)
# These compile, with all cores; what `programs` compiles is run by the two that depend on it, beside others. What takes minutes of
# them is asked for: .ci/run does.
foreach(name IN ITEMS programs tidy threads sanitize)
  onnxport_add_check(${name} TIMEOUT 1800)
endforeach()
set_tests_properties(check_programs check_tidy PROPERTIES RUN_SERIAL ON)
set_tests_properties(check_threads check_sanitize PROPERTIES DEPENDS check_programs)

# The writer of weights and its tests with ThreadSanitizer; the rest of the core has no threads there, and is linked as it
# is. Built when its check runs.
file(GLOB writer_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/core/checkpoint/*.cpp" "${PROJECT_SOURCE_DIR}/core/files/*.cpp")
add_executable(writer_threads EXCLUDE_FROM_ALL ${writer_sources} unit/main.cpp unit/weight_test.cpp unit/stacked_weight_test.cpp)
target_compile_definitions(writer_threads PRIVATE ${ONNXPORT_TEST_DEFINITIONS})
target_compile_options(writer_threads PRIVATE -fsanitize=thread -O1)
target_link_options(writer_threads PRIVATE -fsanitize=thread)
target_link_libraries(writer_threads PRIVATE onnxport_core onnxport::onnx Boost::unit_test_framework Threads::Threads)
set_target_properties(writer_threads PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin/tests")
onnxport_precompile_test_headers(writer_threads writer_threads unit/main.cpp)

# Exports side by side with ThreadSanitizer: libonnxport's own code and whatever keeps something from one export to
# the next, or shares the file system; what only computes is linked as it is. Built when its check runs.
file(GLOB shared_sources CONFIGURE_DEPENDS
  "${PROJECT_SOURCE_DIR}/core/*.cpp" "${PROJECT_SOURCE_DIR}/core/backend/*.cpp" "${PROJECT_SOURCE_DIR}/core/files/*.cpp"
  "${PROJECT_SOURCE_DIR}/core/output/*.cpp" "${PROJECT_SOURCE_DIR}/core/export/*.cpp" "${PROJECT_SOURCE_DIR}/library/*.cpp" library/*.cpp)
list(APPEND shared_sources ${ONNXPORT_THREADED_SOURCES})
add_executable(library_threads EXCLUDE_FROM_ALL ${shared_sources})
target_compile_definitions(library_threads PRIVATE BOOST_TEST_DYN_LINK ONNXPORT_PLUGIN_SOURCES="${PROJECT_SOURCE_DIR}/plugins")
target_include_directories(library_threads PRIVATE "${PROJECT_SOURCE_DIR}/library/include")
target_compile_options(library_threads PRIVATE -fsanitize=thread -O1)
target_link_options(library_threads PRIVATE -fsanitize=thread)
target_link_libraries(library_threads PRIVATE
  onnxport_host CLI11::CLI11 onnxport::yaml_cpp onnxport::nettle onnxport::onnx onnxport::boost_dll Boost::unit_test_framework fmt::fmt
  Threads::Threads)
set_target_properties(library_threads PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
onnxport_precompile_test_headers(library_threads library_threads library/main.cpp)
add_dependencies(library_threads onnxport_plugin_bert)

# The scripts themselves.
foreach(name IN ITEMS check touched)
  add_test(NAME script_${name} COMMAND "${CMAKE_CURRENT_SOURCE_DIR}/scripts/${name}")
  set_tests_properties(script_${name} PROPERTIES SKIP_RETURN_CODE 77 LABELS checks)
endforeach()
