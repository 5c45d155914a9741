// What an encrypted connection, or one that compresses with context takeover, holds beside its two cache lines. A plain connection has none.
#pragma once

#include "engine/tls_session.hpp"
#include "proto/byte_buffer.hpp"
#include "proto/deflate.hpp"

#include <memory>
#include <optional>

namespace ringcast {

struct connection_layers {
  std::optional<tls_session> tls;
  // Ciphertext that is finished and was not handed to TCP: answers of the protocol itself (handshake, tickets, alerts), and what a short
  // send left. It goes out in front of everything that is encrypted later, because TLS counts its records.
  byte_buffer ciphertext;
  // Bytes of a handshake that waits for its turn.
  byte_buffer arrived;
  bool handshaking = false; // so it takes its turn with others, and a server's is in the shard's number of handshakes in progress

  // With context takeover (RFC 7692 7.1.1), each direction where it was negotiated.
  std::unique_ptr<deflate_context> deflates;
  std::unique_ptr<inflate_context> inflates;
  std::uint32_t deflates_bytes = 0; // what the first of them holds
};

} // namespace ringcast
