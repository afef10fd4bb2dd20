// SPDX-License-Identifier: Apache-2.0
// generate_pages PLUGINS SOURCES: rewrites the generated parts of the pages in SOURCES/docs, by the plugins that were
// built below PLUGINS.
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>

#include "docs/generate/pages.hpp"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: generate_pages PLUGINS SOURCES\n";
    return 2;
  }
  try {
    const std::filesystem::path sources = argv[2];
    const onnxport::BuiltPlugins plugins = onnxport::plugins_below(argv[1], sources / "plugins");
    for (const onnxport::Page& page : onnxport::pages()) {
      const std::filesystem::path file = sources / "docs" / page.file;
      std::ifstream in(file);
      const std::string present((std::istreambuf_iterator<char>(in)), {});
      const std::string made = page.make(present, plugins);
      if (made == present) continue;
      std::ofstream(file) << made;
      std::cout << "written: " << file.string() << '\n';
    }
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
