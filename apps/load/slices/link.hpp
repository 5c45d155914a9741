// A connection on which the bytes of the wire are not yet the messages: TLS lies between, or what arrives must be
// gathered until a frame of unknown length is whole. Plain connections with frames of one size have none: they are the
// hot path.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "apps/load/slices/frames.hpp"
#include "engine/tls_context.hpp"
#include "engine/tls_session.hpp"
#include "proto/byte_buffer.hpp"

namespace ringcast::load::slices {

class link {
 public:
  // Without a context bytes go through as they are.
  explicit link(const std::shared_ptr<const tls_context>& tls);

  // Whether messages can be written: the TLS handshake, if there is one, is over.
  [[nodiscard]] bool ready() const { return !session_ || session_->state() == tls_state::open; }
  [[nodiscard]] bool broken() const;

  // What is to be sent, by and by; send() gives it to the socket.
  void write(std::span<const std::byte> bytes);
  [[nodiscard]] send_result send(int fd);

  // Calls on_plaintext(std::span<std::byte>) with what arrived. Answers of TLS itself wait for the next send().
  template <typename OnPlaintext> void feed(std::span<std::byte> arrived, OnPlaintext&& on_plaintext) {
    if (session_) {
      session_->feed(arrived, scratch(), pending_, on_plaintext);
    } else {
      on_plaintext(arrived);
    }
  }

  // TLS's own end, so that a server does not take it for a truncation.
  void close_notify();

  byte_buffer gathered; // For whoever cuts the stream: what is not a whole message yet.

 private:
  // One for the whole program, which has one thread; too large for each connection.
  [[nodiscard]] static tls_scratch& scratch();

  std::unique_ptr<tls_session> session_;
  byte_buffer pending_;
  std::size_t sent_ = 0; // Of pending_.
};

// A context for clients that ask no questions: what is measured is the server.
[[nodiscard]] std::shared_ptr<const tls_context> unquestioning_tls();

} // namespace ringcast::load::slices
