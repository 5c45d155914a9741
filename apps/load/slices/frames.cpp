#include "apps/load/slices/frames.hpp"

#include <cerrno>
#include <sys/socket.h>

namespace ringcast::load::slices {
namespace {

constexpr std::array<std::uint8_t, 4> masking_key{0x37, 0xfa, 0x21, 0x3d};

// The key over eight bytes whose first is at a multiple of four from the start of the payload, as the tag is.
std::uint64_t key_over_tag() {
  std::array<std::uint8_t, 8> twice{};
  for (std::size_t i = 0; i < twice.size(); ++i) twice[i] = masking_key[i % 4];
  std::uint64_t bits = 0;
  std::memcpy(&bits, twice.data(), sizeof bits);
  return bits;
}

// FIN and opcode binary, then the length in the shortest of its three forms, then the key if there is one.
std::size_t write_header(std::uint8_t* to, std::size_t payload_bytes, bool masked) {
  std::size_t at = 0;
  to[at++] = 0x82;
  auto mask_bit = static_cast<std::uint8_t>(masked ? 0x80 : 0);
  unsigned length_bytes = 0;
  if (payload_bytes < 126) {
    to[at++] = static_cast<std::uint8_t>(mask_bit | payload_bytes);
  } else if (payload_bytes < 65536) {
    to[at++] = mask_bit | 126;
    length_bytes = 2;
  } else {
    to[at++] = mask_bit | 127;
    length_bytes = 8;
  }
  while (length_bytes) to[at++] = static_cast<std::uint8_t>(payload_bytes >> (8 * --length_bytes));
  if (masked) at = static_cast<std::size_t>(std::copy(masking_key.begin(), masking_key.end(), to + at) - to);
  return at;
}

// One letter after the other, as it stands on the wire.
std::uint8_t payload_byte(std::size_t at, bool masked) {
  auto letter = static_cast<std::uint8_t>('a' + at % 26);
  return masked ? letter ^ masking_key[at % 4] : letter;
}

constexpr std::size_t run_bytes_max = 256 * 1024;

} // namespace

frame_sender::frame_sender(std::size_t payload_bytes, unsigned depth, std::string_view before, std::string_view after) {
  std::array<std::uint8_t, 16> header{};
  const std::size_t inside = before.size() + payload_bytes + after.size();
  const std::size_t header_bytes = write_header(header.data(), inside, true);
  frame_bytes_ = header_bytes + inside;
  tag_at_ = header_bytes + before.size();
  run_frames_ = std::max(1U, std::min(depth, static_cast<unsigned>(run_bytes_max / frame_bytes_)));
  run_.resize(frame_bytes_ * run_frames_);
  for (unsigned frame = 0; frame < run_frames_; ++frame) {
    std::uint8_t* to = run_.data() + frame * frame_bytes_;
    std::copy_n(header.begin(), header_bytes, to);
    to += header_bytes;
    std::size_t at = 0;
    for (char letter : before) to[at] = static_cast<std::uint8_t>(letter) ^ masking_key[at % 4], ++at;
    for (std::size_t i = 0; i < payload_bytes; ++i) to[at++] = payload_byte(i, true);
    for (char letter : after) to[at] = static_cast<std::uint8_t>(letter) ^ masking_key[at % 4], ++at;
  }
}

std::span<const std::uint8_t> frame_sender::prepare(std::uint32_t sender, const outbox& out, std::uint32_t& frames) {
  frames = std::min(out.next - out.first, run_frames_);
  for (std::uint32_t i = 0; i < frames; ++i) {
    std::uint64_t bits = (static_cast<std::uint64_t>(out.first + i) << 32 | sender) ^ key_over_tag();
    std::memcpy(run_.data() + i * frame_bytes_ + tag_at_, &bits, sizeof bits);
  }
  return {run_.data(), frames * frame_bytes_};
}

send_status frame_sender::flush(int fd, std::uint32_t sender, outbox& out) {
  while (!out.empty()) {
    std::uint32_t frames = 0;
    const auto bytes = prepare(sender, out, frames).subspan(out.offset);
    ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) return errno == EAGAIN ? send_status::blocked : send_status::failed;
    std::size_t reached = out.offset + static_cast<std::size_t>(sent);
    out.first += static_cast<std::uint32_t>(reached / frame_bytes_);
    out.offset = reached % frame_bytes_;
  }
  return send_status::done;
}

frame_receiver::frame_receiver(std::size_t payload_bytes, bool returned_as_sent) {
  header_bytes_ = write_header(header_.data(), payload_bytes, returned_as_sent);
  frame_bytes_ = header_bytes_ + payload_bytes;
  prefix_bytes_ = header_bytes_ + sizeof(short_tag);
  tag_xor_ = returned_as_sent ? key_over_tag() : 0;
  std::array<std::uint8_t, 8> mask{};
  std::fill_n(mask.begin(), std::min<std::size_t>(header_bytes_, mask.size()), std::uint8_t{0xff});
  std::memcpy(&first_mask_, mask.data(), sizeof first_mask_);
  std::memcpy(&first_bits_, header_.data(), sizeof first_bits_);
  first_bits_ &= first_mask_;
  whole_.resize(frame_bytes_);
  for (std::size_t i = 0; i < payload_bytes; ++i) whole_[header_bytes_ + i] = payload_byte(i, returned_as_sent);
}

} // namespace ringcast::load::slices
