// How a manual page is written: man(7).
#pragma once

#include <string>
#include <string_view>

namespace ringcast {

// Text as roff prints it, one line: nothing in it is a request or an escape.
inline std::string roff_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (out.empty() && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-"; // a hyphen would not be found, nor pasted into a shell
    else
      out += c == '\n' ? ' ' : c;
  }
  return out;
}

// What Markdown marks as code is bold, and of a link its words stay.
inline std::string roff_of_markdown(std::string_view markdown) {
  std::string plain;
  for (std::size_t at = 0; at < markdown.size(); ++at) {
    const std::size_t middle = markdown[at] == '[' ? markdown.find("](", at) : std::string_view::npos;
    const std::size_t end = middle == std::string_view::npos ? middle : markdown.find(')', middle);
    if (end == std::string_view::npos || markdown.substr(at + 1, middle - at - 1).contains('[')) {
      plain += markdown[at];
      continue;
    }
    plain += markdown.substr(at + 1, middle - at - 1);
    at = end;
  }
  std::string out;
  bool bold = false;
  for (const char c : roff_text(plain)) {
    if (c == '`')
      out += (bold = !bold) ? "\\fB" : "\\fP";
    else
      out += c;
  }
  return out;
}

inline std::string roff_bold(std::string_view text) { return "\\fB" + roff_text(text) + "\\fP"; }

// A paragraph with a tag in front, which is roff already.
inline std::string roff_item(std::string_view tag, std::string_view body) {
  return std::string{".TP\n"}.append(tag).append(1, '\n').append(body).append(1, '\n');
}

} // namespace ringcast
