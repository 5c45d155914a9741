// A server of blocking sockets that does to each connection what the test says, on a thread of its own; in TLS where it is asked to.
#pragma once

#include "engine/tls/tls_session.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

namespace ringcast {

using namespace engine;

class raw_connection {
 public:
  explicit raw_connection(int socket);
  ~raw_connection();

  // What is read and written from here on is inside TLS. False if the handshake failed, with the reason in tls().
  bool start_tls(std::shared_ptr<const tls_context> context);
  [[nodiscard]] tls_session& tls();
  void close_notify();
  // Straight to the socket.
  void write_raw(std::string_view bytes);

  // Everything up to the empty line, or what came before the end.
  std::string read_head();
  std::string read(std::size_t bytes);
  // One frame's payload, unmasked; an empty text at the end. The opcode comes in `op`.
  std::string read_frame(unsigned& op);
  // Whether more has come, or comes within this time.
  [[nodiscard]] bool has_more(std::chrono::milliseconds wait) const;
  // A frame's payload as far as it has come: no byte is waited for any longer than this.
  std::string read_frame_of_what_is_there(unsigned& op, std::chrono::milliseconds wait);
  void write(std::string_view bytes);
  // The end of a TCP connection that the peer sees as a reset.
  void reset();
  // Nothing more is read or written: with reset() before it, the client hears of that now.
  void end();
  // Waits until the client has closed.
  void wait_for_end();
  // A correct answer to an upgrade request, with more header lines, and bytes behind it in the same write.
  void accept_upgrade(std::string_view request_head, std::string_view more = {}, std::string_view behind = {});

 private:
  struct layer;

  // What has come, one byte at least; empty at the end.
  std::string read_some();

  int socket_;
  std::string kept_; // read and not asked for
  std::unique_ptr<layer> layer_;
};

[[nodiscard]] std::string header_of(std::string_view head, std::string_view name);
[[nodiscard]] std::string frame_of(unsigned first_byte, std::string_view payload);

class raw_server {
 public:
  // `serve` is called for each connection, one after the other, with its number; the connection is closed behind it.
  explicit raw_server(std::function<void(raw_connection&, int)> serve);
  ~raw_server();
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string url(std::string_view path = "/") const;
  // wss, by name.
  [[nodiscard]] std::string tls_url(std::string_view path = "/") const;
  [[nodiscard]] int connections() const { return connections_; }

 private:
  std::uint16_t port_ = 0; // set while listener_ is made, so it stands before it
  int listener_ = -1;
  std::atomic<int> current_{-1};
  std::atomic<int> connections_{0};
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

// A port on which nobody listens.
[[nodiscard]] std::uint16_t unused_port();

} // namespace ringcast
