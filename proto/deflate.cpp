#include "proto/deflate.hpp"

#include <isa-l/igzip_lib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace ringcast {
namespace {

// The empty stored block that ends each flush. It is taken off by the sender and put back by the receiver (RFC
// 7692 7.2).
constexpr std::array<std::byte, 4> flush_tail{std::byte{0x00}, std::byte{0x00}, std::byte{0xff}, std::byte{0xff}};

// isa-l counts in 32 bits. Longer input is given in steps of this size, or not compressed at all.
constexpr std::size_t step_bytes_max = std::size_t{1} << 30;

// Below this the fixed Huffman codes of RFC 1951 3.2.6 beat isa-l's own ready-made ones at level 0, which cost a header
// of about 110 bytes in every message.
constexpr std::size_t fixed_codes_bytes_max = 8 * 1024;

// A context that starts anew whenever one short message did not get shorter would never learn what the next ones share.
constexpr std::size_t context_slack_bytes = 16;

constexpr std::uint32_t level_buffer_bytes(unsigned level) noexcept {
  constexpr std::uint32_t bytes[] = {0, ISAL_DEF_LVL1_MIN, ISAL_DEF_LVL2_MIN, ISAL_DEF_LVL3_MIN};
  return bytes[std::min(level, deflate_level_max)];
}

constexpr std::size_t total_bytes(unsigned level) noexcept { return sizeof(isal_zstream) + level_buffer_bytes(level); }
static_assert(total_bytes(0) <= deflate_memory_bytes(0) && total_bytes(1) <= deflate_memory_bytes(1));
static_assert(total_bytes(2) <= deflate_memory_bytes(2) && total_bytes(3) <= deflate_memory_bytes(3));
static_assert(sizeof(inflate_state) <= inflate_memory_bytes);

// isa-l reads through a pointer to non-const and does not write there.
std::uint8_t* readable(const std::byte* bytes) noexcept { return const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(bytes)); }
std::uint8_t* writable(std::byte* bytes) noexcept { return reinterpret_cast<std::uint8_t*>(bytes); }

// A limit in bits on how far back a match may reach; isa-l takes 0 for its own 15.
std::uint16_t history_bits(unsigned window_bits) noexcept {
  return window_bits >= 15 ? std::uint16_t{0} : static_cast<std::uint16_t>(std::max(window_bits, 8U));
}

void choose_codes(isal_zstream& stream, std::size_t message_bytes) noexcept {
  const int table = message_bytes < fixed_codes_bytes_max ? IGZIP_HUFFTABLE_STATIC : IGZIP_HUFFTABLE_DEFAULT;
  isal_deflate_set_hufftables(&stream, nullptr, table);
}

bool ends_with_flush_tail(std::span<const std::byte> bytes) noexcept {
  return bytes.size() > flush_tail.size() && std::equal(flush_tail.begin(), flush_tail.end(), bytes.end() - flush_tail.size());
}

} // namespace

// ---- deflater -------------------------------------------------------------------------------------------------------

deflater::deflater(unsigned level_max)
    : stream_{new isal_zstream}, level_buffer_{new std::uint8_t[level_buffer_bytes(level_max)]}, level_max_{std::min(level_max, deflate_level_max)} {}
deflater::~deflater() = default;
deflater::deflater(deflater&&) noexcept = default;
deflater& deflater::operator=(deflater&&) noexcept = default;

std::optional<std::size_t> deflater::deflate_message(std::span<const std::byte> message, std::span<std::byte> out, unsigned level,
                                                     unsigned window_bits) noexcept {
  if (out.empty() || message.size() > step_bytes_max) return std::nullopt;
  if (message.empty()) {
    out[0] = std::byte{0x00};
    return 1;
  }
  // isa-l falls back to stored blocks where the room allows one for the whole message: that never pays. With room for
  // four bytes more than the message, which the tail takes back, it reports that it does not fit instead.
  const std::size_t room = std::min(out.size(), message.size() + flush_tail.size());

  isal_zstream& stream = *stream_;
  isal_deflate_stateless_init(&stream);
  stream.level = std::min(level, level_max_);
  stream.level_buf = level_buffer_.get();
  stream.level_buf_size = level_buffer_bytes(stream.level);
  stream.flush = FULL_FLUSH; // The one flush that this call of isa-l knows; without history it is the same as a sync flush.
  stream.end_of_stream = 0;
  stream.hist_bits = history_bits(window_bits);
  if (stream.level == 0) choose_codes(stream, message.size());
  stream.next_in = readable(message.data());
  stream.avail_in = static_cast<std::uint32_t>(message.size());
  stream.next_out = writable(out.data());
  stream.avail_out = static_cast<std::uint32_t>(room);
  if (isal_deflate_stateless(&stream) != COMP_OK || stream.avail_in != 0) return std::nullopt;

  const std::size_t written = room - stream.avail_out;
  if (!ends_with_flush_tail(out.first(written))) return std::nullopt;
  const std::size_t payload = written - flush_tail.size();
  return payload < message.size() ? std::optional{payload} : std::nullopt;
}

std::optional<std::size_t> deflater::deflate_message(std::span<const std::byte> message, byte_buffer& out, unsigned level, unsigned window_bits) {
  const auto written = deflate_message(message, out.prepare(deflate_message_bound(message.size())), level, window_bits);
  if (written) out.commit(*written);
  return written;
}

// ---- deflate_context ------------------------------------------------------------------------------------------------

deflate_context::deflate_context(unsigned level, unsigned window_bits)
    : stream_{new isal_zstream}, level_buffer_{new std::uint8_t[level_buffer_bytes(level)]} {
  isal_deflate_init(stream_.get());
  stream_->level = std::min(level, deflate_level_max);
  stream_->level_buf = level_buffer_.get();
  stream_->level_buf_size = level_buffer_bytes(level);
  stream_->hist_bits = history_bits(window_bits);
}
deflate_context::~deflate_context() = default;
deflate_context::deflate_context(deflate_context&&) noexcept = default;
deflate_context& deflate_context::operator=(deflate_context&&) noexcept = default;

void deflate_context::reset() noexcept { isal_deflate_reset(stream_.get()); }

std::optional<std::size_t> deflate_context::deflate_message(std::span<const std::byte> message, std::span<std::byte> out) noexcept {
  if (out.size() < deflate_context_bound(message.size()) || message.size() > step_bytes_max) {
    reset();
    return std::nullopt;
  }
  if (message.empty()) {
    out[0] = std::byte{0x00};
    return 1;
  }
  isal_zstream& stream = *stream_;
  if (stream.total_in > step_bytes_max) reset(); // Positions are 32-bit; forgetting is cheaper than wrapping around.
  if (stream.level == 0) choose_codes(stream, message.size());

  // The bound leaves room for the tail and one byte more, so a full output means that the message did not fit.
  const auto room = static_cast<std::uint32_t>(deflate_context_bound(message.size()));
  stream.flush = SYNC_FLUSH;
  stream.end_of_stream = 0;
  stream.next_in = readable(message.data());
  stream.avail_in = static_cast<std::uint32_t>(message.size());
  stream.next_out = writable(out.data());
  stream.avail_out = room;
  const bool whole = isal_deflate(&stream) == COMP_OK && stream.avail_in == 0 && stream.avail_out > 0;
  const std::size_t written = room - stream.avail_out;
  if (!whole || !ends_with_flush_tail(out.first(written)) || written - flush_tail.size() > message.size() + context_slack_bytes) {
    reset();
    return std::nullopt;
  }
  return written - flush_tail.size();
}

std::optional<std::size_t> deflate_context::deflate_message(std::span<const std::byte> message, byte_buffer& out) {
  const auto written = deflate_message(message, out.prepare(deflate_context_bound(message.size())));
  if (written) out.commit(*written);
  return written;
}

// ---- inflate_context ------------------------------------------------------------------------------------------------

inflate_context::inflate_context() : state_{new inflate_state} { isal_inflate_init(state_.get()); }
inflate_context::~inflate_context() = default;
inflate_context::inflate_context(inflate_context&&) noexcept = default;
inflate_context& inflate_context::operator=(inflate_context&&) noexcept = default;

violation inflate_context::inflate_message(std::span<const std::byte> payload, byte_buffer& message, std::size_t message_bytes_max) {
  message.clear();
  message.reserve(std::min(message_bytes_max, 3 * payload.size() + 256));
  if (const violation broken = feed(payload, message, message_bytes_max); broken != violation::none) return broken;
  return finish(message, message_bytes_max);
}

violation inflate_context::feed(std::span<const std::byte> piece, byte_buffer& message, std::size_t message_bytes_max) {
  while (!piece.empty()) {
    const std::span<const std::byte> step = piece.first(std::min(piece.size(), step_bytes_max));
    state_->next_in = readable(step.data());
    state_->avail_in = static_cast<std::uint32_t>(step.size());
    if (const violation broken = run(message, message_bytes_max); broken != violation::none) return broken;
    piece = piece.subspan(step.size());
  }
  return violation::none;
}

violation inflate_context::finish(byte_buffer& message, std::size_t message_bytes_max) {
  if (ended_by_final_block_) {
    // The sender closed its stream and left out the byte 00 that 7.2.3.4 puts behind it: complete all the same.
    ended_by_final_block_ = false;
    return violation::none;
  }
  if (const violation broken = feed(flush_tail, message, message_bytes_max); broken != violation::none) return broken;
  // The tail must have closed an empty stored block and nothing else, or the data was cut short. isa-l has then looked
  // for the next block's header and found not one bit of it.
  const inflate_state& state = *state_;
  const bool at_header = state.block_state == ISAL_BLOCK_NEW_HDR || state.block_state == ISAL_BLOCK_HDR;
  const bool between_blocks = at_header && state.tmp_in_size == 0 && state.read_in_length == 0 && !ended_by_final_block_;
  return between_blocks ? violation::none : violation::compressed_data_invalid;
}

// Inflates what next_in holds, until it is used up, broken, or too much.
violation inflate_context::run(byte_buffer& message, std::size_t message_bytes_max) {
  inflate_state& state = *state_;
  const std::uint8_t* const start = state.next_in;
  for (;;) {
    if (state.avail_in > 0) ended_by_final_block_ = false;
    if (message.size() == message.capacity() && message.size() < message_bytes_max)
      message.reserve(std::min(message_bytes_max, std::max(std::size_t{256}, message.capacity() * 2)));

    // At the limit there may still be blocks that add nothing. One spare byte tells whether there is more.
    std::byte beyond_limit{};
    const bool at_limit = message.size() >= message_bytes_max;
    const std::size_t free = at_limit ? 1 : std::min(message.capacity(), message_bytes_max) - message.size();
    const auto room = static_cast<std::uint32_t>(std::min(free, step_bytes_max));
    state.next_out = writable(at_limit ? &beyond_limit : message.data() + message.size());
    state.avail_out = room;
    if (isal_inflate(&state) != ISAL_DECOMP_OK) return violation::compressed_data_invalid;
    const std::uint32_t written = room - state.avail_out;
    if (at_limit && written > 0) return violation::message_too_big;
    if (!at_limit) message.commit(written);

    if (state.block_state == ISAL_BLOCK_FINISH) {
      const violation broken = start_anew_after_final_block(static_cast<std::size_t>(state.next_in - start));
      if (broken != violation::none || state.avail_in == 0) return broken;
    } else if (state.avail_out > 0) {
      // Room was left, so nothing waits inside; then all input was taken.
      return state.avail_in == 0 ? violation::none : violation::compressed_data_invalid;
    }
  }
}

// After a block with BFINAL further blocks may follow from the next byte on (7.2.3.4, 7.2.3.5). isa-l, as zlib, ends
// its stream there, so a new one is begun, with an empty window as zlib's senders have it. Whole bytes that isa-l had
// read ahead are given back; they are of the `taken` bytes of this piece, because a piece before it was used to its
// end.
violation inflate_context::start_anew_after_final_block(std::size_t taken) noexcept {
  inflate_state& state = *state_;
  const auto read_ahead = static_cast<std::uint32_t>(std::max(state.read_in_length, 0) / 8);
  if (read_ahead > taken) return violation::compressed_data_invalid;
  std::uint8_t* const next_in = state.next_in - read_ahead;
  const std::uint32_t avail_in = state.avail_in + read_ahead;
  isal_inflate_reset(&state);
  state.next_in = next_in;
  state.avail_in = avail_in;
  ended_by_final_block_ = true;
  return violation::none;
}

void inflate_context::reset() noexcept {
  isal_inflate_reset(state_.get());
  ended_by_final_block_ = false;
}

} // namespace ringcast
