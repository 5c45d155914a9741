#include "tests/sim/rigs/peer.hpp"

#include "proto/frame_writer.hpp"
#include "proto/http_head.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>

namespace ringcast::sim {

bool peer::connect(std::uint16_t port) {
  socket_ = world_.connect(port);
  if (socket_.is_open()) state_ = state::asking;
  return socket_.is_open();
}

void peer::ask_for_websocket(std::string_view target) {
  wants_websocket_ = true;
  // The key of RFC 6455 1.3; the answer to it is known.
  output_ += fmt::format("GET {} HTTP/1.1\r\nHost: sim\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
                         target);
  if (offers) output_ += fmt::format("Sec-WebSocket-Extensions: {}\r\n", write_deflate_offer(*offers).view());
  output_ += "\r\n";
}

void peer::ask_for_events(std::string_view target, std::string_view last_event_id) {
  events_.emplace();
  events_->on_event = [this](const event_reader::event& e) {
    if (on_event) on_event(e);
  };
  output_ += fmt::format("GET {} HTTP/1.1\r\nHost: sim\r\nAccept: text/event-stream\r\n", target);
  if (!last_event_id.empty()) output_ += fmt::format("Last-Event-ID: {}\r\n", last_event_id);
  output_ += "\r\n";
}

void peer::ask(std::string_view method, std::string_view target, std::string_view body) {
  output_ +=
      fmt::format("{} {} HTTP/1.1\r\nHost: sim\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{}", method, target, body.size(), body);
}

void peer::send_frame(opcode op, std::string_view payload, bool fin, bool rsv1) {
  const std::size_t begin = output_.size();
  output_.resize(begin + frame_bytes(payload.size(), true));
  write_masked_frame(reinterpret_cast<std::byte*>(output_.data() + begin), op, std::as_bytes(std::span{payload.data(), payload.size()}),
                     static_cast<std::uint32_t>(world_.chance.next()), fin, rsv1);
}

void peer::send_message(opcode op, std::string_view payload, unsigned fragments) {
  if (state_ != state::open) return;
  // Always by itself: what context takeover allows is not a duty (RFC 7692 7.1.1).
  static deflater deflates{1};
  byte_buffer small;
  bool rsv1 = false;
  if (deflate_ && world_.chance.below(3) != 0) {
    rsv1 = deflates.deflate_message(std::as_bytes(std::span{payload}), small, 1, deflate_->client_max_window_bits).has_value();
    if (rsv1) payload = {reinterpret_cast<const char*>(small.bytes().data()), small.size()};
  }
  for (unsigned i = 0; i + 1 < fragments; ++i) {
    const std::size_t bytes = world_.chance.below(payload.size() + 1);
    send_frame(i == 0 ? op : opcode::continuation, payload.substr(0, bytes), false, rsv1 && i == 0);
    payload.remove_prefix(bytes);
    if (world_.chance.below(2) == 0) send_ping(fmt::format("between {}", i));
  }
  send_frame(fragments > 1 ? opcode::continuation : op, payload, true, rsv1 && fragments <= 1);
}

void peer::send_ping(std::string_view payload) {
  if (state_ != state::open) return;
  send_frame(opcode::ping, payload, true);
  pings_.emplace_back(payload);
}

void peer::send_close(std::uint16_t code) {
  if (state_ != state::open) return;
  const char payload[2] = {static_cast<char>(code >> 8), static_cast<char>(code & 0xff)};
  send_frame(opcode::close, {payload, 2}, true);
  close_sent_ = true;
  state_ = state::closing;
}

void peer::send_bytes(std::string_view bytes) { output_ += bytes; }
void peer::half_close() { half_close_wanted_ = true; }

void peer::close() {
  socket_.close();
  if (!is_over()) state_ = state::lost;
}

void peer::reset() {
  socket_.reset();
  if (!is_over()) state_ = state::lost;
}

void peer::act(bool reads) {
  if (!socket_.is_open()) return;
  if (has_unsent()) {
    const std::size_t bytes = 1 + world_.chance.below(output_.size() - sent_);
    const auto count = socket_.write(std::as_bytes(std::span{output_}.subspan(sent_, bytes)));
    if (count > 0) sent_ += static_cast<std::size_t>(count);
    if (count < 0 && count != -EAGAIN) sent_ = output_.size(); // The rest has no reader; what came is still read.
    if (sent_ == output_.size()) {
      output_.clear();
      sent_ = 0;
    }
  }
  if (half_close_wanted_ && !has_unsent()) {
    socket_.shut_down_writing();
    half_close_wanted_ = false;
  }
  if (reads) read();
}

void peer::read() {
  std::byte some[4096];
  for (;;) {
    const auto count = socket_.read(std::span{some}.first(1 + world_.chance.below(sizeof some)));
    if (count == -EAGAIN) return;
    if (count <= 0) return ended(count == 0);
    input_.append(reinterpret_cast<const char*>(some), static_cast<std::size_t>(count));
    while (!is_over() && (state_ == state::asking ? read_head() : events_ ? read_events() : read_frame())) {
    }
    if (state_ == state::wrong) return socket_.reset();
  }
}

void peer::ended(bool clean) {
  if (!input_.empty() && clean && !is_over() && state_ != state::asking && !close_received_) world_.trace("the stream ends within a frame");
  const bool done = close_received_ || last_answer_;
  if (!is_over()) state_ = clean && done ? state::closed : state::lost;
  socket_.close();
}

bool peer::read_head() {
  const std::size_t end = input_.find("\r\n\r\n");
  if (end == std::string::npos) return false;
  const std::string head = input_.substr(0, end + 2);
  if (!head.starts_with("HTTP/1.1 ")) return complain("the answer is not HTTP/1.1: " + head), false;
  int status = 0;
  std::from_chars(head.data() + 9, head.data() + 12, status);
  if (wants_websocket_ && status == 101) {
    if (head.find("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") == std::string::npos) return complain("wrong Sec-WebSocket-Accept"), false;
    response_head parsed;
    const head_result result = parse_response_head(std::as_bytes(std::span{input_}), http_limits{}, parsed);
    const auto agreed = check_deflate_response(parsed, offers ? &*offers : nullptr);
    if (result.status != head_status::done || !agreed) return complain("an extension that was not offered, or a bad head"), false;
    deflate_ = *agreed;
    if (deflate_) inflates_.emplace();
    input_.erase(0, end + 4);
    state_ = state::open;
    if (on_open) on_open();
    return true;
  }
  if (events_ && status == 200) {
    if (head.find("Content-Type: text/event-stream\r\n") == std::string::npos || head.find("Transfer-Encoding: chunked\r\n") == std::string::npos)
      return complain("an event stream that is none: " + head), false;
    input_.erase(0, end + 4);
    state_ = state::open;
    if (on_open) on_open();
    return true;
  }
  std::size_t length = 0;
  const std::size_t field = head.find("Content-Length: ");
  if (field == std::string::npos) return complain("an answer without a length: " + head), false;
  std::from_chars(head.data() + field + 16, head.data() + head.size(), length);
  if (input_.size() < end + 4 + length) return false;
  const std::string body = input_.substr(end + 4, length);
  input_.erase(0, end + 4 + length);
  if (head.find("Connection: close") != std::string::npos) last_answer_ = true;
  if (on_answer) on_answer(status, body);
  return !input_.empty();
}

bool peer::read_events() {
  events_->feed(input_);
  input_.clear();
  if (!events_->complaint().empty()) complain(events_->complaint());
  last_answer_ = events_->has_ended();
  return false;
}

bool peer::read_frame() {
  const std::span<const std::byte> bytes = std::as_bytes(std::span{input_});
  const auto header = decode_frame_header(bytes);
  if (!header) {
    if (input_.size() >= frame_header_bytes_max) complain("a frame header that does not parse");
    return false;
  }
  if (header->masked || (header->rsv1 && (!deflate_ || inside_message_)) || header->rsv2 || header->rsv3)
    return complain("a masked frame or a reserved bit"), false;
  if (header->payload_bytes > (64u << 20)) return complain("a frame of an absurd length"), false;
  const std::size_t total = header->header_bytes + static_cast<std::size_t>(header->payload_bytes);
  if (input_.size() < total) return false;
  if (close_received_) return complain("a frame behind the Close frame"), false;
  std::string payload = input_.substr(header->header_bytes, total - header->header_bytes);
  input_.erase(0, total);
  on_frame(header->op, header->fin, header->rsv1, std::move(payload));
  return !input_.empty();
}

void peer::on_frame(opcode op, bool fin, bool rsv1, std::string payload) {
  switch (op) {
  case opcode::ping:
    ++pings_heard_;
    if (!close_sent_) send_frame(opcode::pong, payload, true);
    return;
  case opcode::pong: {
    const auto found = std::ranges::find(pings_, payload);
    if (found == pings_.end()) return complain("a pong to no ping: " + payload);
    if (found != pings_.begin()) return complain("pongs out of order");
    pings_.erase(found);
    return;
  }
  case opcode::close:
    close_received_ = true;
    close_code_ =
        payload.size() < 2 ? 1005 : static_cast<std::uint16_t>(static_cast<unsigned char>(payload[0]) << 8 | static_cast<unsigned char>(payload[1]));
    if (!close_sent_) {
      send_frame(opcode::close, std::string_view(payload).substr(0, std::min<std::size_t>(payload.size(), 2)), true);
      close_sent_ = true;
      state_ = state::closing;
    }
    return;
  case opcode::continuation:
    if (!inside_message_) return complain("a continuation of nothing");
    message_.payload += payload;
    break;
  default:
    if (inside_message_) return complain("a message inside another one");
    message_ = {op, std::move(payload)};
    message_is_deflated_ = rsv1;
  }
  inside_message_ = !fin;
  if (fin && message_is_deflated_ && !inflate_message()) return complain("a message that does not inflate");
  if (fin && on_message) on_message(message_);
}

bool peer::inflate_message() {
  if (deflate_->server_no_context_takeover) inflates_->reset();
  byte_buffer large;
  if (inflates_->inflate_message(std::as_bytes(std::span{message_.payload}), large, 64u << 20) != violation::none) return false;
  message_.payload.assign(reinterpret_cast<const char*>(large.bytes().data()), large.size());
  ++world_.happened["a message was inflated"];
  return true;
}

void peer::complain(const std::string& what) {
  if (state_ == state::wrong) return;
  state_ = state::wrong;
  complaint_ = what;
}

} // namespace ringcast::sim
