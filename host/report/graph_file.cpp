// SPDX-License-Identifier: Apache-2.0
#include "host/report/graph_file.hpp"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <map>
#include <vector>

#include "core/error.hpp"
#include "core/files/output_error.hpp"
#include "core/files/whole_file.hpp"
#include "core/inspect/module_graph.hpp"
#include "core/printable.hpp"
#include "host/report/html.hpp"

extern char** environ;

namespace onnxport {
namespace {

namespace fs = std::filesystem;
using inspect::Box;
using inspect::Picture;

/// What one can still look at, and Graphviz lay out in seconds.
constexpr size_t most_boxes = 800;

/// Text within Graphviz' quotation marks.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : printable(text)) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

/// Where on a page each module is shown, by its path; of a picture that stands alone, nowhere.
using Anchors = std::map<std::string, size_t>;

std::string attributes_of(const Box& box, const Anchors& anchors) {
  const std::string label =
      fmt::format("\"{}{}{}\"", escaped(box.name), box.detail.empty() ? "" : "\\n", escaped(box.detail));
  switch (box.kind) {
    case Box::Kind::module: {
      const auto anchor = anchors.find(box.path);
      return fmt::format("label={} shape=box style=\"rounded,filled\" fillcolor=\"#dbeafe\"{}", label,
                         anchor == anchors.end() ? "" : fmt::format(" URL=\"#module-{}\"", anchor->second));
    }
    case Box::Kind::input:
      return fmt::format("label={} shape=plain fontcolor=\"#15803d\"", label);
    case Box::Kind::output:
      return fmt::format("label={} shape=plain fontcolor=\"#b45309\"", label);
    case Box::Kind::node:
      return fmt::format("label={} shape=box", label);
  }
  return {};
}

std::string dot_of(const Picture& picture, const Anchors& anchors = {}) {
  std::string dot = "digraph { rankdir=TB; node [fontname=\"sans-serif\" fontsize=11]; edge [color=\"#888888\"];\n";
  for (size_t i = 0; i < picture.boxes.size(); ++i)
    dot += fmt::format("b{} [{}];\n", i, attributes_of(picture.boxes[i], anchors));
  for (const auto& [from, to] : picture.arrows) dot += fmt::format("b{} -> b{};\n", from, to);
  return dot + "}\n";
}

void write_text(const fs::path& file, const std::string& text) {
  std::ofstream out(file, std::ios::binary);
  const bool is_open = out.is_open();
  out << text;
  out.close();
  if (out) return;
  const int reason = errno;
  std::error_code ignored;
  if (is_open) fs::remove(file, ignored);
  throw output_error("cannot write", file, reason);
}

/// A file in memory.
class Scratch {
 public:
  explicit Scratch(const std::string& text = {}) : descriptor_(::memfd_create("graph", MFD_CLOEXEC)) {
    for (size_t done = 0; done < text.size();) {
      const ssize_t count = ::write(descriptor_, text.data() + done, text.size() - done);
      if (count <= 0) throw output_error("cannot keep the graph in", "memory", errno);
      done += static_cast<size_t>(count);
    }
    ::lseek(descriptor_, 0, SEEK_SET);
  }
  ~Scratch() { ::close(descriptor_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  int descriptor() const { return descriptor_; }
  std::string text() const { return read_whole(fmt::format("/proc/self/fd/{}", descriptor_)); }

 private:
  const int descriptor_;
};

/// Has Graphviz draw; of several graphs one picture after the other. It is taken from standard output: into a file that
/// it is named, Graphviz writes the first graph only.
std::string drawn(const std::string& dot, const char* format) {
  const Scratch source(dot), picture;
  std::string program = "dot", type = std::string("-T") + format;
  char* const words[] = {program.data(), type.data(), nullptr};
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, source.descriptor(), STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, picture.descriptor(), STDOUT_FILENO);
  pid_t child = 0;
  const int missing = ::posix_spawnp(&child, "dot", &actions, nullptr, words, environ);
  ::posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  if (missing == 0) ::waitpid(child, &status, 0);
  if (missing != 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 127)) {
    throw Error(Failure::usage, "--graph draws with Graphviz, whose program dot is not here",
                "install it (apt-get install graphviz)");
  }
  if (status != 0) throw Error(Failure::output, "Graphviz could not draw the graph", "choose a smaller --depth");
  return picture.text();
}

void require_drawable(const Picture& picture) {
  if (picture.boxes.size() <= most_boxes) return;
  throw Error(
      Failure::usage, fmt::format("{} boxes are too many for a picture (at most {})", picture.boxes.size(), most_boxes),
      "choose a smaller --depth, or --graph FILE.html; where nodes have no module paths, nothing can be collapsed");
}

/// The pictures of modules, by path: one run of Graphviz draws all.
std::map<std::string, std::string> draw_all(const std::vector<Picture>& pictures, const Anchors& anchors) {
  std::string dot;
  for (const Picture& picture : pictures) dot += dot_of(picture, anchors);
  const std::string all = drawn(dot, "svg");
  std::map<std::string, std::string> by_path;
  size_t at = 0;
  for (const Picture& picture : pictures) {
    const size_t begin = all.find("<svg", at), end = all.find("</svg>", begin);
    if (begin == std::string::npos || end == std::string::npos)
      throw Error(Failure::internal, "Graphviz drew fewer pictures than it was given");
    by_path[picture.path] = all.substr(begin, end + 6 - begin);
    at = end + 6;
  }
  return by_path;
}

/// The module with its picture, and those in it, closed. A browser that follows a link to a picture opens what it is
/// in.
std::string section(const std::string& path, const std::vector<std::string>& modules, const Anchors& anchors,
                    const std::map<std::string, std::string>& pictures) {
  const auto picture = pictures.find(path);
  std::string out = fmt::format(
      "<details class=\"module\"{}><summary>{}</summary>\n<div class=\"picture\" id=\"module-{}\">{}</div>\n",
      path.empty() ? " open" : "", html::text(path.empty() ? "the whole model" : path), anchors.at(path),
      picture == pictures.end() ? "<p>too many nodes to draw</p>" : picture->second);
  for (const std::string& other : modules) {
    if (other.empty() || other == path) continue;
    const size_t dot = other.rfind('.');
    const std::string parent = dot == std::string::npos ? "" : other.substr(0, dot);
    if (parent == path) out += section(other, modules, anchors, pictures);
  }
  return out + "</details>\n";
}

constexpr const char* graph_style = R"(<style>
body { max-width: none; } .module { border-left: 2px solid var(--line); padding-left: .8rem; margin: .3rem 0; }
.picture { overflow: auto; background: #fff; color: #000; } .picture svg { width: auto; max-width: none; }
</style>)";

void write_page(const inspect::OnnxFile& model, const fs::path& file) {
  const std::vector<std::string> modules = inspect::modules_of(model.model.graph());
  std::vector<Picture> pictures;
  Anchors anchors;
  for (const std::string& module : modules) {
    anchors.emplace(module, anchors.size());
    Picture picture = inspect::inside(model.model.graph(), module);
    if (picture.boxes.size() <= most_boxes) pictures.push_back(std::move(picture));
  }
  const std::string title = model.path.filename().string();
  const std::string body = fmt::format(
      "{}<h1>{}</h1>\n<p class=\"faint\">Blue boxes are modules; a click opens them below. Green comes in, brown goes "
      "out.</p>\n{}",
      graph_style, html::text(title), section("", modules, anchors, draw_all(pictures, anchors)));
  write_text(file, html::page("onnxport: " + title, body));
}

}  // namespace

void check_graph_name(const fs::path& file) {
  const std::string ending = file.extension().string();
  if (ending != ".html" && ending != ".svg" && ending != ".png") {
    throw Error(Failure::usage, "--graph " + file.string() + " ends neither in .svg, .png nor .html",
                "the ending says what is drawn");
  }
  std::error_code ignored;
  if (file.has_parent_path() && !fs::is_directory(file.parent_path(), ignored))
    throw Error(Failure::usage, "--graph " + file.string() + ": there is no folder " + file.parent_path().string(),
                "make the folder first, or name another");
}

void write_graph(const inspect::OnnxFile& model, const fs::path& file, size_t depth) {
  const std::string ending = file.extension().string();
  if (ending == ".html") {
    write_page(model, file);
    return;
  }
  const Picture picture = inspect::collapsed(model.model.graph(), depth);
  require_drawable(picture);
  write_text(file, drawn(dot_of(picture), ending == ".svg" ? "svg" : "png"));
}

}  // namespace onnxport
