#include "engine/cluster/batch.hpp"

#include "proto/utf8.hpp"

namespace ringcast::engine {

namespace {

constexpr std::size_t head_bytes = 16;
constexpr std::size_t message_head_bytes = 5;

template <class Number> Number number_at(const std::byte* at) {
  Number number;
  std::memcpy(&number, at, sizeof number);
  return number;
}

} // namespace

void batch_writer::append(opcode op, std::span<const std::byte> payload) {
  if (bytes_.empty()) bytes_.resize(head_bytes);
  const auto length = static_cast<std::uint32_t>(payload.size());
  const std::size_t at = bytes_.size();
  bytes_.resize(at + message_head_bytes + payload.size());
  bytes_[at] = static_cast<std::byte>(op);
  std::memcpy(&bytes_[at + 1], &length, sizeof length);
  if (!payload.empty()) std::memcpy(&bytes_[at + message_head_bytes], payload.data(), payload.size());
  payload_bytes_ += payload.size();
  ++messages_;
}

std::span<const std::byte> batch_writer::finish(std::uint64_t writer, std::uint64_t id) {
  std::memcpy(bytes_.data(), &writer, sizeof writer);
  std::memcpy(bytes_.data() + sizeof writer, &id, sizeof id);
  return bytes_;
}

std::optional<batch_view> batch_view::read(std::span<const std::byte> bytes, std::uint32_t messages) {
  // Each message has a head, so that the count alone makes nobody reserve memory.
  if (bytes.size() < head_bytes || (bytes.size() - head_bytes) / message_head_bytes < messages) return std::nullopt;
  batch_view view{.writer = number_at<std::uint64_t>(bytes.data()), .id = number_at<std::uint64_t>(bytes.data() + sizeof writer)};
  view.messages.reserve(messages);
  bytes = bytes.subspan(head_bytes);
  while (!bytes.empty()) {
    if (bytes.size() < message_head_bytes || view.messages.size() == messages) return std::nullopt;
    const auto op = static_cast<opcode>(bytes[0]);
    const std::size_t length = number_at<std::uint32_t>(&bytes[1]);
    bytes = bytes.subspan(message_head_bytes);
    if ((op != opcode::text && op != opcode::binary) || length > bytes.size()) return std::nullopt;
    view.messages.push_back({op, bytes.first(length)});
    if (op == opcode::text && !is_valid_utf8(view.messages.back().payload)) return std::nullopt;
    bytes = bytes.subspan(length);
  }
  if (view.messages.size() != messages) return std::nullopt;
  return view;
}

} // namespace ringcast::engine
