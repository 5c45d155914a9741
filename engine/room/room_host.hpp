// What a shard's rooms and its outbox see of it: its connections, the way to other shards, and what happens to a connection whose output
// failed or went on. Nothing here is virtual that is called for each message.
#pragma once

#include "engine/connection/shard_connections.hpp"
#include "engine/room/room.hpp"
#include "engine/room/room_home.hpp"
#include "engine/tls/tls_session.hpp"
#include <ringcast/address.hpp>
#include <ringcast/connection_handle.hpp>

#include <cstdint>
#include <memory>
#include <string_view>

namespace ringcast::engine {

class room_host : public shard_courier {
 public:
  room_host(std::uint32_t index, std::uint8_t deflate_window) : connections_(index), deflate_window_(deflate_window) {}
  room_host(const room_host&) = delete;
  room_host& operator=(const room_host&) = delete;

  [[nodiscard]] shard_connections& connections() { return connections_; }
  [[nodiscard]] std::uint32_t index() const { return connections_.index(); }
  [[nodiscard]] connection_handle handle_of(const connection& c) const { return connections_.handle_of(c); }
  [[nodiscard]] connection* find(connection_handle handle) { return connections_.find(handle); }
  // Which log of a room a member reads. One whose window is smaller than that of the frames made for all reads the plain one.
  [[nodiscard]] room_encoding encoding_of(const connection& c) const { return encoding_of(c.deflate_bits); }
  [[nodiscard]] room_encoding encoding_of(std::uint8_t deflate_bits) const { return encoding_with(deflate_bits >= deflate_window_, false); }
  // What all TLS sessions of the thread work in.
  [[nodiscard]] tls_scratch& tls_memory() {
    if (tls_memory_ == nullptr) tls_memory_ = std::make_unique<tls_scratch>();
    return *tls_memory_;
  }

  // The connection is lost.
  virtual void on_output_failed(connection& c) = 0;
  // There was no memory for what it was to be sent.
  virtual void on_output_refused(connection& c) = 0;
  // TCP took some of its backlog, perhaps all.
  virtual void on_output_progress(connection& c) = 0;
  // It is behind a gap: it is told, and outbox::go_on() follows.
  virtual void tell_gap(connection& c) = 0;
  virtual void release_if_done(connection& c) = 0;
  // Whose it is, for the log.
  [[nodiscard]] virtual socket_address peer_of(const connection& c) const = 0;
  virtual void close_websocket(connection& c, std::uint16_t code, std::string_view reason) = 0;

 protected:
  ~room_host() = default;

  shard_connections connections_;

 private:
  std::uint8_t deflate_window_;
  std::unique_ptr<tls_scratch> tls_memory_; // made for the first TLS connection
};

} // namespace ringcast::engine
