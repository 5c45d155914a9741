// What arrives on a connection of a connection_set: TLS records to plaintext, that to frames, those to messages; or to events.
#include "apps/load/clock.hpp"
#include "apps/load/connection_set.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <sys/socket.h>

namespace ringcast::load {

using namespace engine;

namespace {

constexpr std::uint64_t message_bytes_max = std::uint64_t{65} << 20;

} // namespace

void connection_set::on_input(unsigned i) {
  connection& c = connections_[i];
  const ssize_t got = ::recv(c.fd, buffer_.data(), buffer_.size(), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    return end(i, got == 0 ? fmt::format("{} closed the connection", dialer_.where())
                           : fmt::format("{} broke the connection: {}", dialer_.where(), std::strerror(errno)));
  }
  received_ns_ = clock_ns();
  const std::span<std::byte> input{buffer_.data(), static_cast<std::size_t>(got)};
  c.tls ? on_ciphertext(i, input) : on_plaintext(i, input);
  if (c.fd >= 0) on_read(i);
}

void connection_set::on_ciphertext(unsigned i, std::span<std::byte> input) {
  connection& c = connections_[i];
  link& tls = *c.tls; // Lives until the next turn, even if the connection ends in between.
  const int fd = c.fd;
  const bool was_securing = c.at == stage::securing;
  tls.feed(input, [&](std::span<std::byte> plaintext) {
    if (c.fd == fd && c.at != stage::securing) on_plaintext(i, plaintext);
  });
  if (c.fd != fd || c.tls.get() != &tls) return;
  switch (tls.state()) {
  case tls_state::handshaking: return flush(i);
  case tls_state::open: return was_securing ? begin_upgrade(i) : flush(i);
  case tls_state::peer_closed: return end(i, fmt::format("{} closed the connection", dialer_.where()));
  case tls_state::failed:
    flush(i); // An alert may say why.
    return end(i, fmt::format("{} and TLS: {}", dialer_.where(), tls.reason()));
  }
}

void connection_set::on_plaintext(unsigned i, std::span<std::byte> input) {
  connection& c = connections_[i];
  if (c.rest.empty()) {
    const std::size_t taken = take_input(i, input);
    if (c.fd >= 0 && taken < input.size()) c.rest.insert(c.rest.end(), input.begin() + static_cast<std::ptrdiff_t>(taken), input.end());
    return;
  }
  c.rest.insert(c.rest.end(), input.begin(), input.end());
  std::vector<std::byte> whole = std::move(c.rest);
  const std::size_t taken = take_input(i, whole);
  c.rest = {};
  if (c.fd < 0 || taken == whole.size()) return;
  whole.erase(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(taken));
  c.rest = std::move(whole);
}

std::size_t connection_set::take_input(unsigned i, std::span<std::byte> input) {
  connection& c = connections_[i];
  std::size_t at = 0;
  if (c.at == stage::upgrading) {
    at = is_event_stream(i) ? take_stream_answer(i, input) : take_answer(i, input);
    if (at == 0) return 0;
  }
  if (c.events) {
    take_events(i, input.subspan(at));
    return input.size();
  }
  const frame_rules rules{.our_role = role::client, .payload_bytes_max = message_bytes_max, .rsv1_allowed = c.deflate != nullptr};
  const int fd = c.fd;
  while (at < input.size() && c.fd == fd && fd >= 0) {
    const frame_result read = read_frame(input.subspan(at), rules);
    if (read.status == read_status::need_more) {
      // Room for the whole of a long frame at once: growing step by step would copy it again and again.
      if (c.rest.capacity() == 0 && read.frame_bytes_wanted > buffer_.size()) c.rest.reserve(read.frame_bytes_wanted);
      break;
    }
    if (read.status == read_status::violation) {
      end(i, fmt::format("{} sent a frame that breaks RFC 6455", dialer_.where()));
      break;
    }
    at += read.value.frame_bytes;
    on_frame(i, read.value);
  }
  return at;
}

std::size_t connection_set::take_answer(unsigned i, std::span<const std::byte> input) {
  connection& c = connections_[i];
  const auto opening = dialer_.check(input, c.key);
  if (!opening) {
    end(i, opening.error());
    return 0;
  }
  if (opening->head_bytes == 0) return 0;
  if (opening->deflate) {
    c.deflate = std::make_unique<deflate_part>();
    c.deflate->agreed = *opening->deflate;
    if (!opening->deflate->server_no_context_takeover) c.deflate->inflate.emplace();
    ++compression_.connections;
  }
  note_open(i);
  return opening->head_bytes;
}

void connection_set::note_open(unsigned i) {
  connection& c = connections_[i];
  handshakes_.record(received_ns_ - c.begun_ns);
  c.at = stage::open;
  --under_way_;
  ++open_;
  on_opened(i);
}

std::size_t connection_set::take_stream_answer(unsigned i, std::span<const std::byte> input) {
  const auto opening = dialer_.check_stream(input);
  if (!opening) {
    end(i, opening.error());
    return 0;
  }
  if (opening->head_bytes == 0) return 0;
  connections_[i].events = std::make_unique<event_reader>(opening->chunked);
  note_open(i);
  return opening->head_bytes;
}

void connection_set::take_events(unsigned i, std::span<const std::byte> input) {
  connection& c = connections_[i];
  const int fd = c.fd;
  std::unique_ptr<event_reader> reader = std::move(c.events); // It may end within, and another connection have its place.
  reader->feed(input, [&](const heard_event& event) {
    received_opcode_ = opcode::text;
    on_event(i, event);
    return c.fd == fd;
  });
  if (c.fd != fd) return;
  if (reader->is_broken())
    return end(i, fmt::format("{} breaks the chunked coding of its event stream, or its length (RFC 9112 7.1)", dialer_.where()));
  if (reader->is_over()) return end(i, fmt::format("{} ended the event stream", dialer_.where()));
  c.events = std::move(reader);
}

void connection_set::on_frame(unsigned i, const frame& got) {
  connection& c = connections_[i];
  const std::span<std::byte> payload = got.payload;
  switch (got.op) {
  case opcode::ping: queue_control(i, opcode::pong, payload); return flush(i);
  case opcode::pong: return;
  case opcode::close: {
    const unsigned code = payload.size() >= 2 ? std::to_integer<unsigned>(payload[0]) << 8 | std::to_integer<unsigned>(payload[1]) : 1005;
    if (c.at == stage::closing) return end(i, {});
    const std::size_t code_bytes = std::min<std::size_t>(2, payload.size());
    const std::string reason{reinterpret_cast<const char*>(payload.data()) + code_bytes, payload.size() - code_bytes};
    return end(i, fmt::format("{} closed the connection with {}{}{}", dialer_.where(), code, reason.empty() ? "" : ": ", reason));
  }
  default: on_data_frame(i, got);
  }
}

void connection_set::on_data_frame(unsigned i, const frame& got) {
  connection& c = connections_[i];
  if (got.op == opcode::continuation) {
    if (!c.fragments) return end(i, fmt::format("{} sent a frame that continues nothing", dialer_.where()));
    c.fragments->insert(c.fragments->end(), got.payload.begin(), got.payload.end());
    if (!got.fin) return;
    const auto whole = std::move(c.fragments);
    received_opcode_ = c.fragments_opcode;
    return on_whole_message(i, *whole, c.deflate && c.deflate->fragments_deflated);
  }
  if (c.fragments) return end(i, fmt::format("{} began a message within another one", dialer_.where()));
  if (got.fin) {
    received_opcode_ = got.op;
    return on_whole_message(i, got.payload, got.rsv1);
  }
  c.fragments_opcode = got.op;
  c.fragments = std::make_unique<std::vector<std::byte>>(got.payload.begin(), got.payload.end());
  if (c.deflate) c.deflate->fragments_deflated = got.rsv1;
}

void connection_set::on_whole_message(unsigned i, std::span<const std::byte> payload, bool deflated) {
  connection& c = connections_[i];
  if (!deflated) {
    if (c.deflate) compression_.received_plain += 1;
    return on_message(i, payload);
  }
  byte_buffer& message = scratch_->inflated;
  const violation broken = c.deflate->inflate ? c.deflate->inflate->inflate_message(payload, message, message_bytes_max)
                                              : scratch_->inflate.inflate_message(payload, message, message_bytes_max);
  if (broken != violation::none) return end(i, fmt::format("{} sent compressed data that cannot be inflated (RFC 7692)", dialer_.where()));
  compression_.received_wire_bytes += payload.size();
  compression_.received_bytes += message.size();
  ++compression_.received_deflated;
  on_message(i, std::as_const(message).bytes());
}

} // namespace ringcast::load
