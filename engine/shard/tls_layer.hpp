// TLS of a shard: from ciphertext to the plaintext that the rest of the shard knows, handshakes within their bounds, and how a session ends.
// One a shard, on its thread.
#pragma once

#include "engine/connection/connection.hpp"
#include "engine/connection/connection_layers.hpp"
#include "engine/room/outbox.hpp"
#include "engine/room/room_host.hpp"
#include "engine/shard/client_seats.hpp"
#include "engine/shard/handlers.hpp"
#include "engine/shard/input_share.hpp"
#include "engine/shard/shard_counters.hpp"
#include "engine/tls/tls_identity.hpp"
#include <ringcast/detail/intrusive_list.hpp>
#include <ringcast/tls.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>

namespace ringcast::engine {

class closer;
class connector;
class http_side;
class input_flow;
class memory_ledger;
class peer_book;
class socket_reader;

// Nothing if it is not encrypted, or its handshake is not over.
[[nodiscard]] std::optional<tls_details> tls_details_of(const connection& c);

class tls_layer {
 public:
  struct needs {
    room_host& host;
    outbox& output;
    const server_limits& limits;
    const input_share& share;
    const client_seats& seats;
    const peer_book& peers;
    socket_reader& receiving;
    input_flow& input;
    http_side& http;
    connector& connecting;
    closer& closing;
    memory_ledger& ledger;
    shard_counters& counters;
  };
  explicit tls_layer(const needs& with) : with_(with) {}

  // Of a connection that was accepted, and of one whose way to its server is open.
  void begin(connection& c, const tls_identity& identity);
  void begin_client(connection& c, client_link& link);
  void consume_encrypted(connection& c, std::span<std::byte> bytes);
  // TCP has ended. True where that ends the connection, or is looked at again when its handshake goes on.
  [[nodiscard]] bool on_end_of_stream(connection& c);
  // True where a close_notify had still to be said; it goes out with the next flush.
  [[nodiscard]] bool say_close_notify(connection& c);
  // For the next connection of a client to the same server. TLS 1.3 servers send it behind the handshake, so it is taken at the end.
  void keep_ticket(const connection& c);
  // Over, or no handshake any more.
  void end_handshake(connection& c);

  // A step of a turn: handshakes that waited for it.
  void continue_handshakes();
  [[nodiscard]] bool has_work() const { return !hellos_waiting_.empty() || !answers_waiting_.empty(); }
  [[nodiscard]] std::uint32_t handshakes_in_progress() const { return handshakes_; }

 private:
  void begin_handshake(connection& c);
  void consume_handshake(connection& c, std::span<const std::byte> bytes);
  void wait_for_handshake_step(connection& c, std::span<const std::byte> bytes);
  void continue_some(std::deque<connection_handle>& waiting, std::uint32_t steps_max);
  void feed(connection& c, std::span<const std::byte> bytes);
  void on_failed(connection& c);

  const needs with_;
  std::deque<connection_handle> hellos_waiting_;  // for their handshake to begin
  std::deque<connection_handle> answers_waiting_; // of handshakes that have begun; at most as many as these are
  intrusive_list<connection_layers, handshake_order> handshakes_begun_;
  std::uint32_t handshakes_ = 0;      // in that list
  std::uint32_t handshake_steps_ = 0; // in this turn
};

} // namespace ringcast::engine
