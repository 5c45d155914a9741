#include "engine/base/log_json.hpp"

#include <ringcast/utf8.hpp>

#include <cstddef>
#include <fmt/format.h>
#include <iterator>
#include <span>

namespace ringcast::engine {

namespace {

// Of the character that begins the text; 0: none does.
std::size_t character_bytes(std::string_view text) {
  for (std::size_t bytes = 1; bytes <= 4 && bytes <= text.size(); ++bytes)
    if (is_valid_utf8(std::as_bytes(std::span{text.data(), bytes}))) return bytes;
  return 0;
}

} // namespace

void append_any_json_string(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const std::size_t bytes = character_bytes(text);
    const auto first = static_cast<unsigned char>(text.front());
    if (bytes == 0)
      out += "\\ufffd";
    else if (first == '"' || first == '\\')
      out.append(1, '\\').append(1, text.front());
    else if (first < 0x20)
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", first);
    else
      out.append(text.substr(0, bytes));
    text.remove_prefix(bytes == 0 ? 1 : bytes);
  }
  out += '"';
}

} // namespace ringcast::engine
