// SPDX-License-Identifier: Apache-2.0
// generate_pages PLUGINS DOCS: rewrites the generated parts of the pages in the folder DOCS, by the manifests below
// PLUGINS.
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>

#include "docs/generate/pages.hpp"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: generate_pages PLUGINS DOCS\n";
    return 2;
  }
  try {
    const std::vector<onnxport::Manifest> manifests = onnxport::manifests_below(argv[1]);
    for (const onnxport::Page& page : onnxport::pages()) {
      const std::filesystem::path file = std::filesystem::path(argv[2]) / page.file;
      std::ifstream in(file);
      const std::string present((std::istreambuf_iterator<char>(in)), {});
      const std::string made = page.make(present, manifests);
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
