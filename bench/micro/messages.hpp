// Messages and heads as a chat server meets them, the same in every run, for the micro benchmarks.
#pragma once

#include "apps/load/chat_message.hpp"

#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ringcast::micro {

using load::chat_message;

/// Text of one, two, three and four bytes a character. It ends with spaces, so that no character is cut off.
inline std::string mixed_text(std::size_t size) {
  static constexpr std::string_view sentence = "Grüße aus Köln, Привет, 今日は, \U0001F680 and plain words too. ";
  std::string text;
  while (text.size() + sentence.size() <= size) text += sentence;
  text.resize(size, ' ');
  return text;
}

inline std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span{text}); }

inline std::vector<std::byte> copy_of(std::string_view text) {
  const auto bytes = bytes_of(text);
  return {bytes.begin(), bytes.end()};
}

/// The opening handshake of a desktop browser.
inline constexpr std::string_view browser_head =
    "GET /chat/lobby?name=alice HTTP/1.1\r\n"
    "Host: chat.example.org\r\n"
    "Connection: Upgrade\r\n"
    "Pragma: no-cache\r\n"
    "Cache-Control: no-cache\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 "
    "Safari/537.36\r\n"
    "Upgrade: websocket\r\n"
    "Origin: https://chat.example.org\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n"
    "Cookie: sid=0123456789abcdef0123456789abcdef; theme=dark\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    "\r\n";

/// The least that a client may send (RFC 6455 section 4.1).
inline constexpr std::string_view plain_head = "GET /echo HTTP/1.1\r\n"
                                               "Host: 127.0.0.1:8080\r\n"
                                               "Upgrade: websocket\r\n"
                                               "Connection: Upgrade\r\n"
                                               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                               "Sec-WebSocket-Version: 13\r\n"
                                               "\r\n";

} // namespace ringcast::micro
