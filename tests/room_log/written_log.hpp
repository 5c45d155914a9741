// A log with its store, and a reader's window of it, as one shard has them.
#pragma once

#include "engine/base/block_pool.hpp"
#include "engine/room/chunk_store.hpp"
#include "engine/room/room_log.hpp"
#include "engine/room/span_window.hpp"
#include "proto/frame_header.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace ringcast {

using namespace engine;

struct written_log {
  block_pool blocks;
  chunk_store store{blocks};
  room_log log;
  std::uint64_t sequence = 1;
  std::vector<log_span> spans;

  void append(std::string_view payload, std::uint64_t author = 0, bool author_hears = true) {
    log.append(
        store,
        {.op = opcode::text, .payload = std::as_bytes(std::span{payload}), .author = author, .author_hears = author_hears, .sequence = sequence++});
  }
  // The end of a turn: what was appended goes to each of the windows.
  void publish(const std::vector<span_window*>& to) {
    spans.clear();
    log.publish(static_cast<std::uint32_t>(to.size()), spans);
    for (span_window* window : to)
      for (const log_span& span : spans) (void)window->append(span);
  }
  void say(std::string_view payload, const std::vector<span_window*>& to) {
    append(payload);
    publish(to);
  }
};

// What the window holds between two positions, as text: the payloads of its frames, each in brackets.
inline std::string content(const span_window& window, std::uint64_t from, std::uint64_t to, std::uint64_t author = 0) {
  std::string bytes;
  window.for_each_piece(from, to, author, [&](const log_piece& piece) {
    bytes.append(reinterpret_cast<const char*>(piece.bytes()), piece.size());
    return true;
  });
  std::string text;
  for (std::size_t at = 0; at < bytes.size();) {
    std::size_t payload = static_cast<unsigned char>(bytes[at + 1]);
    std::size_t header = 2;
    if (payload == 126) {
      payload = static_cast<unsigned char>(bytes[at + 2]) * 256u + static_cast<unsigned char>(bytes[at + 3]);
      header = 4;
    }
    text += '[' + bytes.substr(at + header, payload) + ']';
    at += header + payload;
  }
  return text;
}

} // namespace ringcast
