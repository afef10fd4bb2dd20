// SPDX-License-Identifier: Apache-2.0
// A program of the build: writes manual pages and completions into a folder, as an installation has them below share/.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "core/version.hpp"
#include "host/commands.hpp"
#include "host/pages/command_page.hpp"

namespace fs = std::filesystem;

namespace {

void write(const fs::path& file, const std::string& text) {
  fs::create_directories(file.parent_path());
  std::ofstream out(file, std::ios::binary);
  out << text;
  if (!out.flush()) throw std::runtime_error("cannot write " + file.string());
}

void write_manuals(const fs::path& folder, const onnxport::CommandPage& page) {
  std::string name = page.name;
  std::replace(name.begin(), name.end(), ' ', '-');
  write(folder / (name + ".1"), onnxport::manual_of(page, std::string(onnxport::version)));
  for (const onnxport::CommandPage& command : page.commands) write_manuals(folder, command);
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 2) {
    std::cerr << "usage: onnxport_pages FOLDER\n";
    return 2;
  }
  const fs::path folder = argv[1];
  onnxport::CommandPage program;
  onnxport::with_command_line([&](const CLI::App& app) { program = onnxport::page_of(app); });
  write_manuals(folder / "man/man1", program);
  write(folder / "bash-completion/completions/onnxport", onnxport::bash_completion_of(program));
  write(folder / "zsh/site-functions/_onnxport", onnxport::zsh_completion_of(program));
  write(folder / "fish/vendor_completions.d/onnxport.fish", onnxport::fish_completion_of(program));
  return 0;
} catch (const std::exception& problem) {
  std::cerr << "onnxport_pages: " << problem.what() << "\n";
  return 1;
}
