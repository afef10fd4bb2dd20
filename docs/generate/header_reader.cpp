// SPDX-License-Identifier: Apache-2.0
#include "docs/generate/header_reader.hpp"

#include <algorithm>
#include <cctype>
#include <regex>

namespace onnxport {
namespace {

std::string trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \n\t");
  if (begin == std::string_view::npos) return {};
  return std::string(text.substr(begin, text.find_last_not_of(" \n\t") - begin + 1));
}

/// Up to its first full stop that ends a sentence.
std::string first_sentence(const std::string& text) {
  for (size_t at = text.find(". "); at != std::string::npos; at = text.find(". ", at + 1)) {
    if (at + 2 < text.size() && std::isupper(static_cast<unsigned char>(text[at + 2])) != 0)
      return text.substr(0, at + 1);
  }
  return text;
}

/// One blank where there are several; without words that say nothing to a caller, and without what is behind a
/// function's parameters.
std::string tidied(const std::string& declaration) {
  static const std::regex blanks("\\s+"), words("\\b(inline|static|constexpr|explicit|virtual) |\\[\\[\\w+\\]\\] "),
      place(",? ?const char\\* file = __builtin_FILE\\(\\), uint32_t line = __builtin_LINE\\(\\)"),
      list("(\\)( const)?( noexcept)?) : .*");
  std::string text = std::regex_replace(declaration, blanks, " ");
  text = std::regex_replace(text, words, "");
  text = std::regex_replace(text, place, "");
  return trimmed(std::regex_replace(text, list, "$1"));
}

/// The word before the parameters, or the last one.
std::string name_of(const std::string& declaration) {
  static const std::regex function("(operator ?[^ (]+|operator\\(\\)|~?\\w+) ?\\("), last("(\\w+)( = .*)?$");
  std::smatch found;
  if (std::regex_search(declaration, found, function)) return found[1];
  if (std::regex_search(declaration, found, last)) return found[1];
  return declaration;
}

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  Header run() {
    read_about();
    read_scope(header_.offered, "", false);
    return std::move(header_);
  }

 private:
  bool ended() const { return at_ >= text_.size(); }
  bool is_at(std::string_view what) const { return text_.substr(at_, what.size()) == what; }
  std::string_view take_line() {
    const size_t end = std::min(text_.find('\n', at_), text_.size());
    const std::string_view line = text_.substr(at_, end - at_);
    at_ = std::min(end + 1, text_.size());
    return line;
  }

  void read_about() {
    take_line();  // the licence
    while (is_at("// ")) header_.about += (header_.about.empty() ? "" : " ") + trimmed(take_line().substr(3));
  }

  /// Behind a comment, a text or a body that begins here; else one character on.
  void skip() {
    if (is_at("//")) {
      take_line();
    } else if (text_[at_] == '"' || text_[at_] == '\'') {
      const char quote = text_[at_++];
      while (!ended() && text_[at_] != quote) at_ += text_[at_] == '\\' ? 2 : 1;
      ++at_;
    } else {
      ++at_;
    }
  }
  /// From an opening brace behind its closing one.
  void skip_braces() {
    int depth = 0;
    do {
      const char c = text_[at_];
      depth += c == '{' ? 1 : c == '}' ? -1 : 0;
      skip();
    } while (!ended() && depth > 0);
  }
  void skip_directive() {
    while (take_line().ends_with('\\') && !ended()) {
    }
  }

  void read_comment(std::string& doc) {
    const bool tells = is_at("/// ");
    const std::string_view line = take_line();
    if (tells) doc += (doc.empty() ? "" : " ") + trimmed(line.substr(4));
  }

  void add(std::vector<Offered>& to, Offered::Kind kind, const std::string& declaration, std::string& doc,
           const std::string& prefix) {
    Offered offered{kind, tidied(declaration), {}, first_sentence(doc), {}};
    doc.clear();
    const bool says_nothing =
        offered.text.empty() || offered.text.starts_with("using namespace") || offered.text.starts_with("friend ") ||
        offered.text.find("= delete") != std::string::npos || offered.text.ends_with(" override") ||
        offered.text.find('~') != std::string::npos || offered.text.find("= default") != std::string::npos ||
        offered.text.starts_with("static_assert");
    const bool is_declared_ahead =
        kind == Offered::Kind::other && (offered.text.starts_with("class ") || offered.text.starts_with("struct "));
    if (says_nothing || is_declared_ahead) return;
    offered.name = prefix + name_of(offered.text);
    to.push_back(std::move(offered));
  }

  static bool is_type(const std::string& declaration) {
    static const std::regex type("^(template ?<.*> ?)?(class|struct|union|enum( class)?)\\b");
    return std::regex_search(declaration, type);
  }
  /// Whether an opening brace behind this is that of a function, and not of a value.
  static bool opens_body(const std::string& declaration) {
    static const std::regex starts_list("\\)( const)?( noexcept)?\\s+:[^:]");
    if (declaration.find('(') == std::string::npos) return false;
    const char last = declaration.back();
    return last == ')' || last == '}' || !std::regex_search(declaration, starts_list);
  }

  /// From behind a scope's opening brace behind its closing one.
  void read_scope(std::vector<Offered>& to, const std::string& prefix, bool is_private) {
    std::string declaration, doc;
    int parentheses = 0;
    while (!ended()) {
      const bool is_new = trimmed(declaration).empty();
      if (is_new && is_at("//")) {
        read_comment(doc);
      } else if (is_new && text_[at_] == '#') {
        read_directive(to, doc);
      } else if (is_new && is_at("\n\n")) {
        doc.clear();
        ++at_;
      } else if (is_at("//")) {
        take_line();
        declaration += ' ';
      } else if (text_[at_] == '{' && parentheses == 0) {
        open(to, {prefix, is_private}, declaration, doc);
      } else if (text_[at_] == '}' && parentheses == 0) {
        ++at_;
        return;
      } else if (text_[at_] == ';' && parentheses == 0) {
        ++at_;
        if (!is_private && !trimmed(declaration).empty()) {
          const bool is_function =
              declaration.find('(') != std::string::npos && declaration.find("using ") == std::string::npos;
          add(to, is_function ? Offered::Kind::function : Offered::Kind::other, declaration, doc, prefix);
        }
        declaration.clear();
        doc.clear();
      } else {
        const char c = text_[at_];
        parentheses += c == '(' ? 1 : c == ')' ? -1 : 0;
        const size_t begin = at_;
        skip();
        declaration += text_.substr(begin, at_ - begin);
        const std::string word = trimmed(declaration);
        if (word == "public:" || word == "private:" || word == "protected:") {
          is_private = word == "private:";
          declaration.clear();
        }
      }
    }
  }

  void read_directive(std::vector<Offered>& to, std::string& doc) {
    static const std::regex macro("#define (\\w+(\\([^)]*\\))?)");
    const size_t begin = at_;
    skip_directive();
    const std::string line(text_.substr(begin, at_ - begin));
    std::smatch matched;
    if (!doc.empty() && std::regex_search(line, matched, macro)) add(to, Offered::Kind::function, matched[1], doc, "");
    doc.clear();
  }

  struct Scope {
    const std::string& prefix;
    bool is_private;
  };

  /// At an opening brace: of a namespace, a type, a function or a value.
  void open(std::vector<Offered>& to, const Scope& scope, std::string& declaration, std::string& doc) {
    const std::string text = tidied(declaration);
    if (text.starts_with("namespace")) {
      declaration.clear();
      doc.clear();
      if (text.find("detail") != std::string::npos) return skip_braces();
      ++at_;
      const std::string name =
          text == "namespace" || text.ends_with("sdk") || text.ends_with("onnxport") ? "" : text.substr(10) + "::";
      return read_scope(to, scope.prefix + name, false);
    }
    if (is_type(text)) {
      Offered type{Offered::Kind::type, text.substr(0, text.find(" : ")), {}, first_sentence(doc), {}};
      doc.clear();
      type.name = scope.prefix + name_of(type.text);
      if (text.find("enum") == std::string::npos) {
        ++at_;
        read_scope(type.members, "", text.find("class ") != std::string::npos);
      } else {
        skip_braces();
      }
      declaration.clear();
      if (!scope.is_private) to.push_back(std::move(type));
      return;
    }
    const bool is_body = opens_body(trimmed(declaration));
    skip_braces();
    if (!is_body) {
      if (text.find('(') != std::string::npos) declaration += "}";  // a list of members' values goes on
      return;
    }
    if (!scope.is_private) add(to, Offered::Kind::function, declaration, doc, scope.prefix);
    declaration.clear();
    doc.clear();
  }

  std::string_view text_;
  size_t at_ = 0;
  Header header_;
};

}  // namespace

Header read_header(std::string_view text) {
  return Reader(text).run();
}

}  // namespace onnxport
