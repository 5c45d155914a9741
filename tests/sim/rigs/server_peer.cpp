#include "tests/sim/rigs/server_peer.hpp"

#include "proto/frame_writer.hpp"
#include "proto/handshake.hpp"
#include "proto/mask.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

namespace ringcast::sim {

void server_peer::act() {
  if (is_over() || silent_) return;
  if (drains_) {
    std::byte some[512];
    std::ptrdiff_t count = 0;
    while ((count = socket_.read(some)) > 0) {
    }
    if (count != -EAGAIN) socket_.close();
    return;
  }
  read();
  if (!is_over() && !was_cut_) write();
}

bool server_peer::can_act() const {
  if (is_over() || silent_) return false;
  const int ready = socket_.end().readiness();
  return (ready & POLLIN) != 0 || (!output_.empty() && written_ < cut_.written_max && socket_.end().send_room() > 0);
}

void server_peer::read() {
  for (;;) {
    std::byte some[512];
    const auto count = socket_.read(std::span{some}.first(std::min(sizeof some, cut_.read_max - read_)));
    if (count == -EAGAIN) break;
    if (count <= 0) return socket_.close();
    read_ += static_cast<std::size_t>(count);
    input_.append(reinterpret_cast<const char*>(some), static_cast<std::size_t>(count));
    if (read_ == cut_.read_max) return die();
  }
  while (upgraded_ ? read_frame() : read_head()) {
  }
}

bool server_peer::read_head() {
  request_head head;
  const head_result result = parse_request_head(std::as_bytes(std::span{input_}), http_limits{}, head);
  if (result.status == head_status::need_more) return false;
  const upgrade_check check = result.status == head_status::done ? check_upgrade(head) : upgrade_check{};
  if (!check.ok) return complaint = "the upgrade is not one", false;
  std::array<char, 1024> answer;
  const std::size_t bytes = write_accept_response(answer, check.key, {}, {});
  output_.append(answer.data(), bytes);
  answer_end_ = queued_ += bytes;
  frame_ends_.insert(queued_);
  if (greeting) {
    for (const std::string& text : greeting(head.target)) send_frame(opcode::text, text);
  }
  input_.erase(0, head.head_bytes);
  upgraded_ = true;
  return true;
}

bool server_peer::read_frame() {
  const auto header = decode_frame_header(std::as_bytes(std::span{input_}));
  if (!header) return false;
  if (!header->masked || header->rsv1 || !header->fin) complaint = "a frame without a mask, with a reserved bit or in pieces";
  const std::size_t total = header->header_bytes + static_cast<std::size_t>(header->payload_bytes);
  if (input_.size() < total || !complaint.empty()) return false;
  std::string payload = input_.substr(header->header_bytes, total - header->header_bytes);
  mask_in_place(reinterpret_cast<std::byte*>(payload.data()), payload.size(), header->masking_key, 0);
  input_.erase(0, total);
  if (has_read_close_) return complaint = "a frame behind the Close frame", false;
  switch (header->op) {
  case opcode::ping:
    ++pings_heard;
    send_frame(opcode::pong, payload);
    break;
  case opcode::pong: break;
  case opcode::close:
    has_read_close_ = true;
    if (close_end_ == 0) {
      send_frame(opcode::close, payload);
      close_end_ = queued_;
    }
    break;
  default:
    if (const auto what = check_payload(payload))
      heard.push_back(*what);
    else
      complaint = "a message that nobody said";
    if (close_end_ == 0) send_frame(header->op, payload);
  }
  return true;
}

void server_peer::send_close(std::uint16_t code) {
  if (close_end_ != 0) return;
  const char payload[2] = {static_cast<char>(code >> 8), static_cast<char>(code & 0xff)};
  send_frame(opcode::close, {payload, 2});
  close_end_ = queued_;
}

void server_peer::say(std::string_view text) {
  if (upgraded_ && close_end_ == 0 && !was_cut_ && !is_over()) send_frame(opcode::text, text);
}

void server_peer::send_frame(opcode op, std::string_view payload) {
  const std::size_t begin = output_.size();
  output_.resize(begin + frame_bytes(payload.size(), false));
  write_frame(reinterpret_cast<std::byte*>(output_.data() + begin), op, std::as_bytes(std::span{payload}));
  queued_ += output_.size() - begin;
  frame_ends_.insert(queued_);
}

void server_peer::write() {
  const std::size_t bytes = std::min(output_.size(), cut_.written_max - written_);
  if (bytes > 0) {
    const auto count = socket_.write(std::as_bytes(std::span{output_}.first(bytes)));
    if (count < 0 && count != -EAGAIN) return socket_.close();
    if (count > 0) {
      written_ += static_cast<std::size_t>(count);
      output_.erase(0, static_cast<std::size_t>(count));
    }
  }
  const bool has_arrived = socket_.end().outgoing.empty() && socket_.end().other().incoming.empty();
  if (written_ == cut_.written_max && has_arrived) return die();
  // As a server must (RFC 6455 7.1.1): it closes first, once both Close frames are through.
  if (has_read_close_ && output_.empty() && has_arrived) socket_.close();
}

void server_peer::die() {
  was_cut_ = true;
  switch (cut_.dies) {
  case server_cut::how::reset: return socket_.reset();
  case server_cut::how::close: return socket_.close();
  case server_cut::how::silence: silent_ = true; return;
  case server_cut::how::fin: socket_.shut_down_writing(); drains_ = true;
  }
}

} // namespace ringcast::sim
