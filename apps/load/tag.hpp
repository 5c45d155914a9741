// How a message says who sent it. Where people may read it, in its first 20 bytes as text: who sent it, which of its
// messages it is, and when it was to be sent.
//
//   "0007 0000a3 0001z9kc"   sender, number from 0, tenths of a microsecond since the run began; digits 0-9a-z, base 36
//
// The rest of a payload is the alphabet over and over, begun at a letter that depends on the number, so that the bytes
// of one message cannot pass for those of the next one.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>

namespace ringcast::load {

inline constexpr std::size_t tag_bytes = 20;
inline constexpr std::int64_t tick_ns = 100;

struct message_tag {
  std::uint32_t sender = 0;
  std::uint32_t number = 0;
  std::int64_t ticks = 0;
};

// Where messages have one size and every instruction counts: the first eight bytes as two numbers, in the order of this
// machine, since both ends are here.
struct short_tag {
  std::uint32_t sender = 0;
  std::uint32_t number = 0;
};

namespace tag_detail {

inline void write_digits(char* to, std::size_t digits, std::uint64_t value) {
  static constexpr char alphabet[] = "0123456789abcdefghijklmnopqrstuvwxyz";
  while (digits) {
    to[--digits] = alphabet[value % 36];
    value /= 36;
  }
}

inline constexpr auto digit_values = [] {
  std::array<std::int8_t, 256> values{};
  values.fill(-1);
  for (int i = 0; i < 10; ++i) values[static_cast<std::size_t>('0' + i)] = static_cast<std::int8_t>(i);
  for (int i = 0; i < 26; ++i) values[static_cast<std::size_t>('a' + i)] = static_cast<std::int8_t>(10 + i);
  return values;
}();

inline std::int64_t read_digits(const std::byte* from, std::size_t digits) {
  std::int64_t value = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    const int digit = digit_values[std::to_integer<std::size_t>(from[i])];
    if (digit < 0) return -1;
    value = value * 36 + digit;
  }
  return value;
}

} // namespace tag_detail

// Writes the tag to the first 20 bytes of a payload.
inline void write_tag(std::byte* payload, const message_tag& tag) {
  auto* to = reinterpret_cast<char*>(payload);
  tag_detail::write_digits(to, 4, tag.sender);
  to[4] = ' ';
  tag_detail::write_digits(to + 5, 6, tag.number);
  to[11] = ' ';
  tag_detail::write_digits(to + 12, 8, static_cast<std::uint64_t>(tag.ticks));
}

// The tag of a payload, or nothing when it does not start with one.
inline std::optional<message_tag> read_tag(std::span<const std::byte> payload) {
  if (payload.size() < tag_bytes || payload[4] != std::byte{' '} || payload[11] != std::byte{' '}) return {};
  const auto sender = tag_detail::read_digits(payload.data(), 4);
  const auto number = tag_detail::read_digits(payload.data() + 5, 6);
  const auto ticks = tag_detail::read_digits(payload.data() + 12, 8);
  if (sender < 0 || number < 0 || ticks < 0) return {};
  return message_tag{static_cast<std::uint32_t>(sender), static_cast<std::uint32_t>(number), ticks};
}

// What follows the tag, for every number and size of a run.
class filler {
 public:
  explicit filler(std::size_t payload_bytes_max) : letters_(payload_bytes_max + 26, 'a') {
    for (std::size_t i = 0; i < letters_.size(); ++i) letters_[i] = static_cast<char>('a' + i % 26);
  }
  [[nodiscard]] const char* from(std::uint32_t number) const { return letters_.data() + number % 26; }
  [[nodiscard]] bool matches(std::span<const std::byte> payload, std::uint32_t number) const {
    return std::memcmp(payload.data() + tag_bytes, from(number), payload.size() - tag_bytes) == 0;
  }

 private:
  std::string letters_;
};

// The size of a message is known to both ends without being sent: it follows from its sender and number.
[[nodiscard]] inline std::size_t size_of_message(std::uint32_t sender, std::uint32_t number, std::size_t least, std::size_t most) {
  if (least == most) return least;
  std::uint64_t mixed = (std::uint64_t{sender} << 32 | number) * 0x9E37'79B9'7F4A'7C15U;
  mixed ^= mixed >> 29;
  mixed *= 0xBF58'476D'1CE4'E5B9U;
  return least + static_cast<std::size_t>((mixed >> 32) % (most - least + 1));
}

} // namespace ringcast::load
