// SPDX-License-Identifier: Apache-2.0
#include "host/report/html.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/printable.hpp"

namespace onnxport::html {
namespace {

constexpr const char* style = R"(
:root { color-scheme: light dark; --line: #8884; --good: #2a7de1; --bad: #d33; --faint: #888; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .2rem .6rem .2rem 0; border-bottom: 1px solid var(--line); }
td, li { overflow-wrap: anywhere; } td:not(.n) { min-width: 5rem; }
.facts td:first-child { width: clamp(6.5rem, 30vw, 14rem); }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.state { display: inline-block; font-size: .85rem; font-weight: normal; padding: .1rem .6rem; border-radius: 1rem; }
.state { color: #fff; background: var(--good); }
.state.bad { background: var(--bad); } .faint { color: var(--faint); }
pre { overflow: auto; font-size: .8rem; } summary { cursor: pointer; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
.plot { display: block; width: 100%; min-width: 45rem; }
.plot text { font: 12px system-ui, sans-serif; fill: currentColor; }
)";

/// The decades that values span; differences of 0 lie at the lowest.
struct Decades {
  double low = -8, high = -4;

  Decades(const std::vector<Bar>& bars, double limit) {
    double least = limit > 0 ? limit : 1, most = limit > 0 ? limit : 1e-12;
    for (const Bar& bar : bars) {
      if (!(bar.value > 0) || !std::isfinite(bar.value)) continue;
      least = std::min(least, bar.value);
      most = std::max(most, bar.value);
    }
    low = std::floor(std::log10(least)) - 1;
    high = std::max(low + 1, std::ceil(std::log10(most)));
  }
  /// From 0 to 1.
  double place(double value) const {
    if (!std::isfinite(value)) return 1;
    if (!(value > 0)) return 0;
    return std::clamp((std::log10(value) - low) / (high - low), 0.0, 1.0);
  }
};

std::string shortened(const std::string& name, size_t most) {
  return name.size() <= most ? name : "…" + name.substr(name.size() - most + 1);
}

}  // namespace

std::string text(std::string_view plain) {
  std::string out;
  for (const char c : printable(plain)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows,
                  size_t numbers_from) {
  const auto line = [&](const std::vector<std::string>& cells, const char* tag) {
    std::string out = "<tr>";
    for (size_t i = 0; i < cells.size(); ++i)
      out += fmt::format("<{0}{1}>{2}</{0}>", tag, i >= numbers_from ? " class=\"n\"" : "", text(cells[i]));
    return out + "</tr>\n";
  };
  std::string out = head.empty() ? "<div class=\"wide\"><table class=\"facts\">\n" : "<div class=\"wide\"><table>\n";
  if (!head.empty()) out += line(head, "th");
  for (const auto& row : rows) out += line(row, "td");
  return out + "</table></div>\n";
}

std::string log_bars(const std::vector<Bar>& bars, double limit) {
  constexpr double row = 20;
  constexpr size_t most_letters = 34;
  size_t letters = 0;
  for (const Bar& bar : bars) letters = std::max(letters, std::min(bar.name.size(), most_letters));
  const double left = 26 + 6 * static_cast<double>(letters), width = 790 - left;
  const Decades decades(bars, limit);
  const double height = row * static_cast<double>(bars.size()) + 30;
  std::string out =
      fmt::format("<div class=\"wide\"><svg class=\"plot\" viewBox=\"0 0 900 {:.0f}\" role=\"img\">\n", height);
  for (double decade = decades.low; decade <= decades.high; ++decade) {
    const double x = left + width * (decade - decades.low) / (decades.high - decades.low);
    out += fmt::format(
        "<line x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"0\" y2=\"{1:.0f}\" stroke=\"var(--line)\"/>"
        "<text x=\"{0:.1f}\" y=\"{2:.0f}\" text-anchor=\"middle\">1e{3:.0f}</text>\n",
        x, height - 24, height - 8, decade);
  }
  for (size_t i = 0; i < bars.size(); ++i) {
    const Bar& bar = bars[i];
    const double y = row * static_cast<double>(i);
    out += fmt::format(
        "<text x=\"{:.0f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>"
        "<rect x=\"{:.0f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"12\" fill=\"var({})\"/>"
        "<text x=\"{:.0f}\" y=\"{:.1f}\">{:.1e}</text>\n",
        left - 8, y + 14, text(shortened(bar.name, most_letters)), left, y + 4,
        std::max(1.0, width * decades.place(bar.value)), bar.is_good ? "--good" : "--bad", left + width + 10, y + 14,
        bar.value);
  }
  if (limit > 0) {
    const double x = left + width * decades.place(limit);
    out += fmt::format(
        "<line x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"0\" y2=\"{1:.0f}\" stroke=\"currentColor\" "
        "stroke-dasharray=\"4 3\"/>\n",
        x, height - 24);
  }
  return out + "</svg></div>\n";
}

std::string log_line(const std::vector<Bar>& points) {
  constexpr double left = 60, width = 820, height = 200;
  const Decades decades(points, 0);
  std::string out = "<div class=\"wide\"><svg class=\"plot\" viewBox=\"0 0 900 230\" role=\"img\">\n", line;
  for (double decade = decades.low; decade <= decades.high; ++decade) {
    const double y = height - height * (decade - decades.low) / (decades.high - decades.low) + 5;
    out += fmt::format(
        "<line x1=\"{0:.0f}\" x2=\"{1:.0f}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\" stroke=\"var(--line)\"/>"
        "<text x=\"{3:.0f}\" y=\"{4:.1f}\" text-anchor=\"end\">1e{5:.0f}</text>\n",
        left, left + width, y, left - 6, y + 4, decade);
  }
  // Where the line begins and ends; what is between is told by tooltips.
  if (!points.empty())
    out += fmt::format("<text x=\"{:.0f}\" y=\"224\">{}</text>\n", left, text(shortened(points.front().name, 50)));
  if (points.size() > 1)
    out += fmt::format("<text x=\"{:.0f}\" y=\"224\" text-anchor=\"end\">{}</text>\n", left + width,
                       text(shortened(points.back().name, 50)));
  std::string dots;
  for (size_t i = 0; i < points.size(); ++i) {
    const double x =
        left + width * static_cast<double>(i) / static_cast<double>(std::max<size_t>(1, points.size() - 1));
    const double y = height - height * decades.place(points[i].value) + 5;
    line += fmt::format("{:.1f},{:.1f} ", x, y);
    dots +=
        fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"var({})\"><title>{}: {:.2e}</title></circle>\n",
                    x, y, points[i].is_good ? "--good" : "--bad", text(points[i].name), points[i].value);
  }
  return out + "<polyline fill=\"none\" stroke=\"var(--faint)\" points=\"" + line + "\"/>\n" + dots + "</svg></div>\n";
}

std::string page(const std::string& title, const std::string& body) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, "
      "initial-scale=1\">\n{}\n<title>{}</title>\n<style>{}</style>\n"
      "</head>\n<body>\n{}</body>\n</html>\n",
      mark, text(title), style, body);
}

}  // namespace onnxport::html
