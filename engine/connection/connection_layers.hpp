// What an encrypted connection, one that compresses with context takeover, or one that takes messages in parts holds beside its two cache lines. A plain connection has none.
#pragma once

#include "engine/tls/tls_session.hpp"
#include "proto/byte_buffer.hpp"
#include "proto/deflate.hpp"
#include "proto/held_bytes.hpp"
#include "proto/message_parts.hpp"
#include <ringcast/connection_handle.hpp>
#include <ringcast/detail/intrusive_list.hpp>

#include <memory>
#include <optional>

namespace ringcast::engine {

// In the order in which a shard began them.
struct handshake_order {};

struct connection_layers : list_link<handshake_order> {
  connection_handle whose; // of a connection that was accepted
  std::optional<tls_session> tls;
  // Ciphertext that is finished and was not handed to TCP: answers of the protocol itself (handshake, tickets, alerts), and what a short
  // send left. It goes out in front of everything that is encrypted later, because TLS counts its records.
  byte_buffer ciphertext;
  // Bytes of a handshake that waits for its turn.
  byte_buffer arrived;
  bool handshaking = false; // so it takes its turn with others
  bool waiting = false; // for that turn, in one of the shard's queues

  // With context takeover (RFC 7692 7.1.1), each direction where it was negotiated.
  std::unique_ptr<deflate_context> deflates;
  std::unique_ptr<inflate_context> inflates;
  std::uint32_t deflates_bytes = 0; // what the first of them holds

  std::unique_ptr<message_parts> parts; // of an endpoint that takes messages as they come

  held_share held; // without the contexts, which the compressor counts
  // After any of the above has grown or gone.
  void count_held() noexcept {
    held.set(sizeof(connection_layers) + ciphertext.capacity() + arrived.capacity() + (tls ? tls_session_bytes + tls->record_bytes_held() : 0));
  }
};

} // namespace ringcast::engine
