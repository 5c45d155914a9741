#include "apps/load/slices/dialect.hpp"

#include <cstring>
#include <fmt/format.h>

#include "apps/load/chat_message.hpp"

namespace ringcast::load::slices {
namespace {

constexpr std::string_view nats_subject = "bench";

} // namespace

std::string nats_greeting(bool hears) {
  return fmt::format("CONNECT {{\"verbose\":false,\"pedantic\":false,\"echo\":false}}\r\n{}PING\r\n",
                     hears ? fmt::format("SUB {} 1\r\n", nats_subject) : std::string{});
}

std::string nats_publish_prefix(std::size_t payload_bytes) {
  std::string prefix = fmt::format("PUB {} {}\r\n", nats_subject, payload_bytes);
  // More spaces between the words mean the same.
  while (prefix.size() % 4 != 0) prefix.insert(3, 1, ' ');
  return prefix;
}

dialect::dialect(const options& chosen) : nats_{chosen.nats} {
  if (chosen.deflate) {
    const std::string text = chat_message(chosen.size, 1);
    const auto bytes = std::as_bytes(std::span{text});
    payload_.assign(bytes.begin(), bytes.end());
  } else {
    for (std::size_t i = 0; i < chosen.size; ++i) payload_.push_back(static_cast<std::byte>('a' + i % 26));
  }
}

void dialect::compose_compressed(short_tag tag, byte_buffer& out) {
  std::memcpy(payload_.data(), &tag, sizeof tag);
  deflater_.append(out, opcode::binary, payload_, masking_key);
}

bool dialect::read_message(const frame& got, bool whole_payload, short_tag& tag) {
  if (!got.fin) return false;
  if (!got.rsv1) return payload_matches(got.payload, whole_payload, tag);
  ++compressed_frames_;
  return inflater_.inflate_message(got.payload, inflated_, payload_.size()) == violation::none &&
         payload_matches(inflated_.bytes(), whole_payload, tag);
}

bool dialect::payload_matches(std::span<const std::byte> payload, bool whole_payload, short_tag& tag) const {
  if (payload.size() != payload_.size()) return false;
  std::memcpy(&tag, payload.data(), sizeof tag);
  return !whole_payload || std::memcmp(payload.data() + sizeof tag, payload_.data() + sizeof tag, payload.size() - sizeof tag) == 0;
}

dialect::nats_part dialect::read_nats(std::string_view& text, bool whole_payload, short_tag& tag) const {
  const std::size_t line = text.find("\r\n");
  if (line == std::string_view::npos) return nats_part::wrong;
  const std::string_view words = text.substr(0, line);
  text.remove_prefix(line + 2);
  if (words == "PING" || words == "PONG" || words == "+OK" || words.starts_with("INFO ")) return nats_part::other;
  if (!words.starts_with("MSG ") || text.size() < payload_.size() + 2) return nats_part::wrong;
  const auto payload = std::as_bytes(std::span{text.substr(0, payload_.size())});
  const bool ended = text.substr(payload_.size(), 2) == "\r\n";
  text.remove_prefix(payload_.size() + 2);
  return ended && payload_matches(payload, whole_payload, tag) ? nats_part::message : nats_part::wrong;
}

} // namespace ringcast::load::slices
