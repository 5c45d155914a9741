// The operations of proto/ that a message or a handshake pays for, one by one. Two programs run them: bench-micro-proto
// measures their time with Google Benchmark, bench-instructions their instructions under callgrind, which a test
// compares with instructions.json. A new case is added here only.
#pragma once

#include "bench/micro/messages.hpp"
#include "proto/byte_buffer.hpp"
#include "proto/deflate.hpp"
#include "proto/extension.hpp"
#include "proto/frame_reader.hpp"
#include "proto/frame_writer.hpp"
#include "proto/handshake.hpp"
#include "proto/http_head.hpp"
#include "proto/mask.hpp"
#include "proto/message_assembler.hpp"
#include "proto/utf8.hpp"

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

namespace ringcast::micro {

/// The compiler must have this value and cannot know what becomes of it.
template <typename Value> [[gnu::always_inline]] inline void keep(const Value& value) { asm volatile("" : : "r,m"(value) : "memory"); }

/// A wrong result would make its own speed meaningless.
inline void must(bool holds) {
  if (!holds) std::abort();
}

// Masked with zero, a payload stays what it is, so that the same bytes can be read again and again; the work is the
// same.
inline constexpr std::uint32_t key_that_changes_nothing = 0;

inline std::vector<std::byte> masked_frames(opcode op, std::string_view payload, std::size_t count, bool fin = true) {
  const std::size_t each = frame_bytes(payload.size(), true);
  std::vector<std::byte> wire(each * count);
  for (std::size_t i = 0; i < count; ++i) write_masked_frame(wire.data() + i * each, op, bytes_of(payload), key_that_changes_nothing, fin);
  return wire;
}

/// Reads everything in `wire` as a server does, and returns the number of messages.
inline std::size_t read_all(std::span<std::byte> wire, message_assembler& assembler) {
  constexpr frame_rules rules{.our_role = role::server, .payload_bytes_max = 1 << 20};
  std::size_t messages = 0;
  while (!wire.empty()) {
    const frame_result read = read_frame(wire, rules);
    if (read.status != read_status::frame) break;
    const assembled made = assembler.take(read.value, 1 << 20);
    if (made.what == assembled::kind::message) ++messages;
    wire = wire.subspan(read.value.frame_bytes);
  }
  return messages;
}

/// Calls visit(name, bytes, operation) for each case; `bytes` is what one call of `operation` works on.
template <typename Visit> void for_each_mask_case(Visit&& visit) {
  for (const std::size_t bytes : {20U, 64U, 125U, 1024U, 65536U}) {
    visit("mask/" + std::to_string(bytes), bytes, [data = copy_of(chat_message(bytes, 1))]() mutable {
      mask_in_place(data.data(), data.size(), 0x3D21FA37);
      keep(data.data());
    });
  }
}

template <typename Visit> void for_each_utf8_case(Visit&& visit) {
  const auto with = [&](std::string name, std::string text) {
    visit("utf8/" + name + "/" + std::to_string(text.size()), text.size(), [text] {
      const bool valid = is_valid_utf8(bytes_of(text));
      must(valid);
    });
  };
  for (const std::size_t bytes : {20U, 125U, 1024U}) with("ascii", chat_message(bytes, 2));
  for (const std::size_t bytes : {125U, 1024U}) with("mixed", mixed_text(bytes));
  visit("utf8/pieces/1024", 1024, [text = mixed_text(1024)] {
    utf8_validator validator;
    for (std::size_t at = 0; at < text.size(); at += 100)
      must(validator.feed(bytes_of(text).subspan(at, std::min<std::size_t>(100, text.size() - at))));
    must(validator.is_complete());
  });
}

template <typename Visit> void for_each_frame_case(Visit&& visit) {
  const auto read = [&](std::string name, std::vector<std::byte> wire, std::size_t messages) {
    const std::size_t bytes = wire.size();
    visit("frame_reader/" + name, bytes, [wire = std::move(wire), messages, assembler = message_assembler{}]() mutable {
      must(read_all(wire, assembler) == messages);
      assembler.release();
    });
  };
  read("text_20_x16", masked_frames(opcode::text, chat_message(20, 3), 16), 16);
  read("binary_64_x16", masked_frames(opcode::binary, chat_message(64, 3), 16), 16);
  read("text_1024", masked_frames(opcode::text, chat_message(1024, 3), 1), 1);
  read("mixed_text_1024", masked_frames(opcode::text, mixed_text(1024), 1), 1);
  read("binary_65536", masked_frames(opcode::binary, chat_message(65536, 3), 1), 1);
  std::vector<std::byte> pieces = masked_frames(opcode::binary, chat_message(100, 3), 1, false);
  for (const bool fin : {false, false, true}) {
    const auto next = masked_frames(opcode::continuation, chat_message(100, 3), 1, fin);
    pieces.insert(pieces.end(), next.begin(), next.end());
  }
  read("fragments_100_x4", std::move(pieces), 1);
  auto half = masked_frames(opcode::text, chat_message(1024, 3), 1);
  half.resize(500);
  read("half_a_frame", std::move(half), 0);

  visit("frame_writer/server_64", 64, [text = chat_message(64, 4), out = std::vector<std::byte>(128)]() mutable {
    must(write_frame(out.data(), opcode::text, bytes_of(text)) == 66);
    keep(out.data());
  });
  visit("frame_writer/client_64", 64, [text = chat_message(64, 4), out = std::vector<std::byte>(128)]() mutable {
    must(write_masked_frame(out.data(), opcode::text, bytes_of(text), 0x3D21FA37) == 70);
    keep(out.data());
  });
}

template <typename Visit> void for_each_http_case(Visit&& visit) {
  const auto parse = [&](std::string name, std::string_view head) {
    visit("http_head/" + name, head.size(),
          [head, out = request_head{}]() mutable { must(parse_request_head(bytes_of(head), {}, out).status == head_status::done); });
  };
  parse("browser", browser_head);
  parse("plain", plain_head);
  visit("http_head/browser_in_pieces", browser_head.size(), [out = request_head{}]() mutable {
    head_progress progress;
    head_status status = head_status::need_more;
    for (std::size_t end = 64; status == head_status::need_more; end += 64)
      status = parse_request_head(bytes_of(browser_head).first(std::min(end, browser_head.size())), {}, out, &progress).status;
    must(status == head_status::done);
  });
  visit("handshake/accept", browser_head.size(), [out = request_head{}, answer = std::array<char, 512>{}]() mutable {
    must(parse_request_head(bytes_of(browser_head), {}, out).status == head_status::done);
    const upgrade_check checked = check_upgrade(out);
    must(checked.ok);
    must(write_accept_response(answer, checked.key, {}, {}) > 0);
  });
}

template <typename Visit> void for_each_deflate_case(Visit&& visit) {
  for (const std::size_t bytes : {128U, 1024U}) {
    const std::string name = "/" + std::to_string(bytes);
    for (const unsigned level : {0U, 1U}) {
      visit("deflate/level_" + std::to_string(level) + name, bytes,
            [text = chat_message(bytes, 5), level, writer = deflater{1}, out = std::vector<std::byte>(2048)]() mutable {
              must(writer.deflate_message(bytes_of(text), out, level).has_value());
            });
    }
    byte_buffer compressed;
    must(deflater{1}.deflate_message(bytes_of(chat_message(bytes, 5)), compressed, 1).has_value());
    visit("inflate" + name, bytes, [compressed = std::move(compressed), reader = inflater{}, message = byte_buffer{}]() mutable {
      must(reader.inflate_message(compressed.bytes(), message, 1 << 20) == violation::none);
    });
  }
}

template <typename Visit> void for_each_proto_case(Visit&& visit) {
  for_each_mask_case(visit);
  for_each_utf8_case(visit);
  for_each_frame_case(visit);
  for_each_http_case(visit);
  for_each_deflate_case(visit);
}

} // namespace ringcast::micro
