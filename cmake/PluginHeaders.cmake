# Has the headers that every plugin of this build begins with compiled once. Included behind the plugins.
file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/plugin_headers.cpp" CONTENT "// What is compiled here are the headers.\n")
add_library(onnxport_plugin_headers OBJECT "${CMAKE_BINARY_DIR}/plugin_headers.cpp")
# As onnxport_add_plugin() has it: headers that were compiled otherwise are of no use.
set_target_properties(
  onnxport_plugin_headers
  PROPERTIES POSITION_INDEPENDENT_CODE ON
             CXX_STANDARD 20
             CXX_STANDARD_REQUIRED ON
             CXX_EXTENSIONS OFF
             CXX_VISIBILITY_PRESET hidden
             VISIBILITY_INLINES_HIDDEN ON)
target_link_libraries(onnxport_plugin_headers PRIVATE onnxport::sdk $<TARGET_NAME_IF_EXISTS:onnxport_sdk_compiled>)
foreach(fact IN ITEMS VERSION LICENSE VENDOR)
  target_compile_definitions(onnxport_plugin_headers PRIVATE "ONNXPORT_PLUGIN_${fact}=\"${ONNXPORT_PLUGIN_${fact}}\"")
endforeach()
target_precompile_headers(onnxport_plugin_headers PRIVATE <onnxport/blocks/layer.hpp> <onnxport/plugin.hpp>)

get_property(plugins GLOBAL PROPERTY ONNXPORT_PLUGINS)
foreach(plugin IN LISTS plugins)
  target_precompile_headers(${plugin} REUSE_FROM onnxport_plugin_headers)
endforeach()
