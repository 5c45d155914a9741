// What lies between the messages of a connection and its socket where the bytes of the wire are not the frames as they
// were written: TLS, or nothing but a place for what waits to be sent. A plain connection that needs neither has none.
#pragma once

#include "apps/load/output.hpp"
#include "engine/tls/tls_context.hpp"
#include "engine/tls/tls_session.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

namespace ringcast::load {

using namespace engine;

class link {
 public:
  // Without a context bytes go through as they are. With one, the ClientHello waits for the first send().
  link(const std::shared_ptr<const tls_context>& tls, std::string_view host);
  ~link();
  link(const link&) = delete;
  link& operator=(const link&) = delete;

  // `open` without TLS.
  [[nodiscard]] tls_state state() const { return session_ ? session_->state() : tls_state::open; }
  // Whether messages can be written: the TLS handshake, if there is one, is over.
  [[nodiscard]] bool ready() const { return state() == tls_state::open; }
  [[nodiscard]] bool broken() const { return state() == tls_state::failed || state() == tls_state::peer_closed; }
  // Why it failed.
  [[nodiscard]] std::string_view reason() const { return session_ ? session_->reason() : std::string_view{}; }

  // What is to be sent, by and by; send() gives it to the socket. False while TLS cannot take it.
  bool write(std::span<const std::byte> bytes);
  [[nodiscard]] send_status send(int fd) { return pending_.send(fd); }

  // Calls on_plaintext(std::span<std::byte>) with what arrived. Answers of TLS itself wait for the next send().
  template <typename OnPlaintext> void feed(std::span<std::byte> arrived, OnPlaintext&& on_plaintext) {
    if (session_) {
      session_->feed(arrived, scratch(), pending_.buffer(), on_plaintext);
    } else {
      on_plaintext(arrived);
    }
  }

  // TLS's own end, so that a server does not take it for a truncation.
  void close_notify();

  byte_buffer gathered; // For whoever cuts the stream: what is not a whole message yet.

 private:
  // One for each thread; too large for each connection.
  [[nodiscard]] static tls_scratch& scratch();

  std::unique_ptr<tls_session> session_;
  output pending_;
};

} // namespace ringcast::load
