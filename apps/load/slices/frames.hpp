// The frames that travel: how one is written, how a received stream is cut into them, and how a connection's output is
// sent. All frames of a run have one size, which makes both sides nearly free: the sender patches eight bytes of a
// frame that was prepared once, and the receiver steps from header to header.
#pragma once

#include "apps/load/output.hpp"
#include "apps/load/tag.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace ringcast::load::slices {

// Where a connection's output stands: messages [first, next) are to be sent, `offset` bytes of the first have been.
struct outbox {
  std::uint32_t first = 0;
  std::uint32_t next = 0;
  std::size_t offset = 0;

  [[nodiscard]] bool empty() const { return first == next; }
};

// Writes masked binary frames (RFC 6455 section 5.2). The masking key is one fixed number other than zero.
class frame_sender {
 public:
  // `before` and `after` stand around each payload, in its frame; the length of `before` is a multiple of four.
  frame_sender(std::size_t payload_bytes, unsigned depth, std::string_view before = {}, std::string_view after = {});

  // Sends what the outbox owes, in as few calls as the prepared run of frames allows.
  send_status flush(int fd, std::uint32_t sender, outbox& out);

  // The next frames that the outbox owes, as bytes; `frames` says how many. Nothing is taken from the outbox.
  [[nodiscard]] std::span<const std::uint8_t> prepare(std::uint32_t sender, const outbox& out, std::uint32_t& frames);

  [[nodiscard]] std::size_t frame_bytes() const { return frame_bytes_; }

 private:
  std::size_t tag_at_ = 0; // Behind the header with the masking key, and what stands before the payload.
  std::size_t frame_bytes_ = 0;
  unsigned run_frames_ = 1;
  std::vector<std::uint8_t> run_; // Equal frames one after the other; their tags are patched before each send.
};

// How far a connection's input stands within a frame that has arrived in part.
struct inbox_position {
  std::uint32_t consumed = 0;
  std::array<std::uint8_t, 22> prefix{}; // The header and the tag, gathered while the frame is incomplete.
};

// Cuts what arrives into frames of the one size that can arrive here, and refuses everything else.
class frame_receiver {
 public:
  // `returned_as_sent`: the bare epoll loop sends the client's own masked frames; a server sends unmasked ones.
  frame_receiver(std::size_t payload_bytes, bool returned_as_sent);

  // Calls on_frame(short_tag) for each frame that is complete. False: bytes that may not be here. Headers and tags
  // are looked at always; every other byte of the payloads only with whole_payload, since that is work.
  template <typename OnFrame>
  [[nodiscard]] bool consume(std::span<const std::uint8_t> bytes, inbox_position& at, bool whole_payload, OnFrame&& on_frame) const {
    const std::uint8_t* from = bytes.data();
    std::size_t left = bytes.size();
    while (left) {
      if (at.consumed == 0 && left >= frame_bytes_) {
        if (!header_matches(from) || (whole_payload && !body_matches(from, 0, frame_bytes_))) return false;
        on_frame(tag_of(from));
        from += frame_bytes_;
        left -= frame_bytes_;
        continue;
      }
      std::size_t take = std::min(left, frame_bytes_ - at.consumed);
      if (at.consumed < prefix_bytes_) {
        std::memcpy(at.prefix.data() + at.consumed, from, std::min(take, prefix_bytes_ - at.consumed));
      }
      if (whole_payload && !body_matches(from, at.consumed, take)) return false;
      at.consumed += static_cast<std::uint32_t>(take);
      from += take;
      left -= take;
      if (at.consumed < frame_bytes_) break;
      at.consumed = 0;
      if (!header_matches(at.prefix.data())) return false;
      on_frame(tag_of(at.prefix.data()));
    }
    return true;
  }

  // The same for bytes that nobody has seen: how many frames are complete after `count` more.
  [[nodiscard]] std::size_t skip(std::size_t count, inbox_position& at) const {
    std::size_t total = at.consumed + count;
    at.consumed = static_cast<std::uint32_t>(total % frame_bytes_);
    return total / frame_bytes_;
  }

  [[nodiscard]] std::size_t frame_bytes() const { return frame_bytes_; }

 private:
  // The first eight bytes by one comparison, which reaches into the payload and masks that part out.
  [[nodiscard]] bool header_matches(const std::uint8_t* frame) const {
    std::uint64_t first = 0;
    std::memcpy(&first, frame, sizeof first);
    if ((first & first_mask_) != first_bits_) return false;
    return header_bytes_ <= 8 || std::memcmp(frame + 8, header_.data() + 8, header_bytes_ - 8) == 0;
  }
  [[nodiscard]] short_tag tag_of(const std::uint8_t* frame) const {
    std::uint64_t bits = 0;
    std::memcpy(&bits, frame + header_bytes_, sizeof bits);
    bits ^= tag_xor_;
    return {static_cast<std::uint32_t>(bits), static_cast<std::uint32_t>(bits >> 32)};
  }

  // Whether `count` bytes that stand at this offset of a frame are what was sent; header and tag are not compared here.
  [[nodiscard]] bool body_matches(const std::uint8_t* bytes, std::size_t offset, std::size_t count) const {
    std::size_t skipped = offset < prefix_bytes_ ? std::min(prefix_bytes_ - offset, count) : 0;
    return std::memcmp(bytes + skipped, whole_.data() + offset + skipped, count - skipped) == 0;
  }

  std::vector<std::uint8_t> whole_; // A frame as it must arrive, but for its tag.
  std::array<std::uint8_t, 16> header_{};
  std::size_t header_bytes_ = 0;
  std::size_t frame_bytes_ = 0;
  std::size_t prefix_bytes_ = 0;
  std::uint64_t first_bits_ = 0;
  std::uint64_t first_mask_ = 0;
  std::uint64_t tag_xor_ = 0;
};

} // namespace ringcast::load::slices
