#include "engine/shard/message_compression.hpp"

#include "engine/connection/connection_layers.hpp"
#include "proto/frame_header.hpp"
#include "proto/frame_writer.hpp"
#include "proto/mask.hpp"
#include "proto/utf8.hpp"

#include <cstring>

namespace ringcast::engine {

// With both directions without context a connection knows its window and nothing else.
void message_compression::begin(connection& c, const deflate_params& agreed) {
  const compression_options& options = with_.rules.compression_of(c);
  c.deflate_bits = c.is_client ? agreed.client_max_window_bits : agreed.server_max_window_bits;
  const bool we_forget = c.is_client ? agreed.client_no_context_takeover : agreed.server_no_context_takeover;
  const bool peer_forgets = c.is_client ? agreed.server_no_context_takeover : agreed.client_no_context_takeover;
  // A compressor need not use what it may refer to.
  const bool keeps_context = !we_forget && options.mode == compression_mode::dedicated;
  if (!keeps_context && peer_forgets) return;
  if (c.layers == nullptr) c.layers.reset(new connection_layers);
  compression_counters& counters = with_.deflater.counters();
  if (keeps_context) {
    c.layers->deflates = std::make_unique<deflate_context>(level_to_one(options), c.deflate_bits);
    c.layers->deflates_bytes = static_cast<std::uint32_t>(deflate_memory_bytes(level_to_one(options)));
    ++counters.contexts;
    counters.context_bytes += c.layers->deflates_bytes;
  }
  if (!peer_forgets) {
    c.layers->inflates = std::make_unique<inflate_context>();
    ++counters.contexts;
    counters.context_bytes += inflate_memory_bytes;
  }
}

void message_compression::end(connection& c) {
  compression_counters& counters = with_.deflater.counters();
  if (c.layers->deflates != nullptr) {
    --counters.contexts;
    counters.context_bytes -= c.layers->deflates_bytes;
  }
  if (c.layers->inflates != nullptr) {
    --counters.contexts;
    counters.context_bytes -= inflate_memory_bytes;
  }
}

violation message_compression::inflate(connection& c, const assembled& m) {
  inflate_context* context = c.layers != nullptr ? c.layers->inflates.get() : nullptr;
  const violation broken = with_.deflater.inflate(context, m.payload, with_.rules.message_bytes_max_of(c));
  c.assembler.release();
  if (broken != violation::none || m.op != opcode::text || is_valid_utf8(with_.deflater.inflated())) return broken;
  return violation::text_not_utf8;
}

// Compressed into the output itself; what does not get smaller is copied there as it is.
void message_compression::append_frame(connection& c, opcode op, std::span<const std::byte> payload) {
  const compression_options& options = with_.rules.compression_of(c);
  const bool masked = c.is_client;
  const std::size_t bound = deflate_context_bound(payload.size());
  const std::size_t room_for_header = frame_header_bytes(bound, masked);
  std::byte* const out = with_.output.extend(c, room_for_header + bound);
  const std::span<std::byte> into{out + room_for_header, bound};
  // The peer's window moves with every compressed frame, and those of rooms are not made here: while it is a member of
  // any, its own messages refer to nothing, and its context has started anew (room_table::join).
  const bool refers = c.layers != nullptr && c.layers->deflates != nullptr && c.memberships == nullptr;
  const auto deflated = refers ? with_.deflater.deflate(*c.layers->deflates, payload, into)
                               : with_.deflater.deflate(payload, into, level_to_one(options), c.deflate_bits);
  const std::size_t bytes = deflated.value_or(payload.size());
  const std::size_t header_bytes = frame_header_bytes(bytes, masked);
  std::byte* const body = out + header_bytes;
  if (!deflated)
    std::memcpy(body, payload.data(), bytes);
  else if (header_bytes != room_for_header)
    std::memmove(body, into.data(), bytes);
  if (masked) {
    const std::uint32_t key = with_.clients->keys().next();
    write_masked_frame_header(out, op, bytes, key, true, deflated.has_value());
    mask_in_place(body, bytes, key);
  } else {
    write_frame_header(out, op, bytes, true, deflated.has_value());
  }
  with_.output.shorten(c, room_for_header + bound - header_bytes - bytes);
}

} // namespace ringcast::engine
