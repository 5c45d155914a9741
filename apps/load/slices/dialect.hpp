// How messages look where they are not frames of one size: compressed ones (RFC 7692), and those of NATS, whose own
// protocol travels inside binary frames.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "apps/load/frame_deflater.hpp"
#include "apps/load/slices/frames.hpp"
#include "apps/load/slices/options.hpp"
#include "proto/byte_buffer.hpp"
#include "proto/deflate.hpp"
#include "proto/frame_reader.hpp"

namespace ringcast::load::slices {

// What a client of NATS says first: who it is, what it wants to hear, and a ping, whose answer shows that all was
// taken.
[[nodiscard]] std::string nats_greeting(bool hears);
// What stands before a published payload; its length is a multiple of four, so that the mask's phase does not move.
[[nodiscard]] std::string nats_publish_prefix(std::size_t payload_bytes);
// For the frames that are not made by a frame_sender.
inline constexpr std::uint32_t masking_key = 0x3D21FA37;

class dialect {
 public:
  explicit dialect(const options& chosen);

  // Appends one compressed message as a frame.
  void compose_compressed(short_tag tag, byte_buffer& out);

  // Takes everything from `gathered` that is complete and calls on_frame(short_tag) for each message. False: bytes
  // that may not be here.
  template <typename OnFrame> [[nodiscard]] bool consume(byte_buffer& gathered, bool whole_payload, OnFrame&& on_frame) {
    std::span<std::byte> rest = gathered.bytes();
    constexpr frame_rules rules{.our_role = role::client, .payload_bytes_max = 1 << 26, .rsv1_allowed = true};
    while (!rest.empty()) {
      const frame_result read = read_frame(rest, rules);
      if (read.status == read_status::need_more) break;
      if (read.status == read_status::violation) return false;
      if (!take(read.value, whole_payload, on_frame)) return false;
      rest = rest.subspan(read.value.frame_bytes);
    }
    if (rest.size() == gathered.size()) return true;
    std::memmove(gathered.data(), rest.data(), rest.size());
    gathered.truncate(rest.size());
    return true;
  }

  [[nodiscard]] std::uint64_t frames() const { return frames_; }
  [[nodiscard]] std::uint64_t compressed_frames() const { return compressed_frames_; }

 private:
  template <typename OnFrame> [[nodiscard]] bool take(const frame& got, bool whole_payload, OnFrame&& on_frame) {
    if (is_control(got.op)) return got.op == opcode::ping || got.op == opcode::pong;
    ++frames_;
    if (!nats_) {
      short_tag tag;
      if (!read_message(got, whole_payload, tag)) return false;
      on_frame(tag);
      return true;
    }
    // NATS ends a frame where it likes, also in several messages, but not within one at these sizes.
    std::string_view text{reinterpret_cast<const char*>(got.payload.data()), got.payload.size()};
    while (!text.empty()) {
      short_tag tag;
      const nats_part part = read_nats(text, whole_payload, tag);
      if (part == nats_part::wrong) return false;
      if (part == nats_part::message) on_frame(tag);
    }
    return true;
  }

  enum class nats_part { message, other, wrong };

  [[nodiscard]] bool read_message(const frame& got, bool whole_payload, short_tag& tag);
  [[nodiscard]] nats_part read_nats(std::string_view& text, bool whole_payload, short_tag& tag) const;
  [[nodiscard]] bool payload_matches(std::span<const std::byte> payload, bool whole_payload, short_tag& tag) const;

  bool nats_;
  std::vector<std::byte> payload_; // As it is sent and must arrive, but for its tag in the first eight bytes.
  frame_deflater deflater_;
  inflater inflater_;
  byte_buffer inflated_;
  std::uint64_t frames_ = 0;
  std::uint64_t compressed_frames_ = 0;
};

} // namespace ringcast::load::slices
