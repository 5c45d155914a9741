#include "proto/message_parts.hpp"

#include "proto/mask.hpp"

#include <algorithm>

namespace ringcast {

namespace {

message_step fail(violation broken) noexcept { return {.what = message_step::kind::violation, .broken = broken}; }

} // namespace

message_step message_parts::read(std::span<std::byte> input, const frame_rules& rules, std::uint64_t message_bytes_max) noexcept {
  if (frame_left_ > 0) return pass(input);
  // The complete reader judges the header. What it needs more of is a payload, or a header.
  const std::optional<frame_header> header = decode_frame_header(input);
  const bool is_data = header && !is_control(header->op);
  const frame_result read = read_frame(is_data ? input.first(header->header_bytes) : input, rules);
  if (read.status == read_status::violation) return fail(read.broken);
  if (!is_data) {
    // A length may be known before the masking key is there: as much as a control frame is waited for, and no data.
    if (read.status == read_status::need_more) return {.wanted = header ? static_cast<std::size_t>(read.frame_bytes_wanted) : input.size() + 1};
    return {.what = message_step::kind::control, .control = read.value, .bytes = read.value.frame_bytes};
  }
  message_step first = begin(*header, message_bytes_max);
  if (first.what == message_step::kind::violation || frame_left_ == 0) return first;
  message_step step = pass(input.subspan(header->header_bytes));
  step.bytes += header->header_bytes;
  return step;
}

// Of a frame without a payload this is all.
message_step message_parts::begin(const frame_header& header, std::uint64_t message_bytes_max) noexcept {
  if (header.op == opcode::continuation) {
    if (op_ == opcode::continuation) return fail(violation::unexpected_continuation);
  } else {
    if (op_ != opcode::continuation) return fail(violation::message_inside_fragments);
    op_ = header.op;
    message_bytes_ = 0;
    text_ = {};
  }
  if (header.payload_bytes > message_bytes_max - message_bytes_) return fail(violation::message_too_big);
  message_bytes_ += header.payload_bytes;
  fin_ = header.fin;
  masked_ = header.masked;
  masking_key_ = header.masking_key;
  frame_bytes_ = 0;
  frame_left_ = header.payload_bytes;
  if (frame_left_ > 0) return {};
  message_step done = pass({});
  done.bytes = header.header_bytes;
  return done;
}

message_step message_parts::pass(std::span<std::byte> input) noexcept {
  const auto bytes = static_cast<std::size_t>(std::min<std::uint64_t>(input.size(), frame_left_));
  const std::span<std::byte> payload = input.first(bytes);
  if (masked_) mask_in_place(payload.data(), bytes, masking_key_, static_cast<std::size_t>(frame_bytes_ % 4));
  frame_bytes_ += bytes;
  frame_left_ -= bytes;
  const bool is_last = frame_left_ == 0 && fin_;
  if (op_ == opcode::text && (!text_.feed(payload) || (is_last && !text_.is_complete()))) return fail(violation::text_not_utf8);
  message_step step{.what = message_step::kind::part, .op = op_, .is_last = is_last, .payload = payload, .bytes = bytes};
  if (is_last)
    op_ = opcode::continuation;
  else if (bytes == 0) // a header, and nothing behind it yet
    step.what = message_step::kind::need_more;
  return step;
}

} // namespace ringcast
