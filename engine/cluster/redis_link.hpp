// One TCP connection to a Redis or Valkey on the ring of a shard: it is made, written to, read, found dead, and made again, with a growing delay. What
// is said on it is the redis_engine's business. One thread.
#pragma once

#include "engine/cluster/redis_address.hpp"
#include "engine/cluster/resp.hpp"
#include "engine/io/ring.hpp"
#include "engine/io/socket.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/uio.h>

namespace ringcast::engine {

class redis_link {
 public:
  // Its operations have the slots from `slot` to `slot` + operations - 1.
  static constexpr std::uint32_t operations = 3;
  redis_link(ring& io, const redis_address& to, std::uint32_t slot);
  redis_link(const redis_link&) = delete;
  redis_link& operator=(const redis_link&) = delete;
  ~redis_link();

  enum class state : std::uint8_t {
    apart, // and connects when begin() is called
    resolving, // the name of the host
    connecting, // TCP
    open,
    closing, // until the kernel holds nothing of it any more
  };
  [[nodiscard]] state now() const { return state_; }
  // Why the last connection came to its end, or did not come about.
  [[nodiscard]] const std::string& why() const { return why_; }

  void begin(std::uint64_t now_ms);
  [[nodiscard]] std::string& output() { return waiting_; } // for append_command()
  void send();
  [[nodiscard]] std::optional<resp_reply> next();
  void close(std::string_view why);
  // False while something is left to wait for: for a second what was said last goes out, if it is taken.
  [[nodiscard]] bool end();

  void on_tick(std::uint64_t now_ms);
  void on_completion(const completion& done);
  // When something was received last.
  [[nodiscard]] std::uint64_t heard_ms() const { return heard_ms_; }

  static constexpr std::size_t receive_bytes = 64 * 1024;
  static constexpr std::uint64_t connect_timeout_ms = 2'000;

 private:
  enum operation_of_link : std::uint32_t { connect_operation, receive_operation, send_operation };
  struct lookup;

  [[nodiscard]] op_tag tag(operation_of_link what) const { return {operation::cluster, generation_, slot_ + what}; }
  void connect(const socket_address& to);
  void receive();
  void released();

  ring& io_;
  const redis_address& to_;
  const std::uint32_t slot_;
  state state_ = state::apart;
  std::string why_ = "it was not tried yet";
  std::uint32_t generation_ = 0;
  int socket_ = -1;
  bool in_flight_[operations] = {};
  std::uint64_t now_ms_ = 0, begun_ms_ = 0, heard_ms_ = 0, end_asked_ms_ = 0;
  std::shared_ptr<lookup> lookup_;
  socket_address address_;
  std::unique_ptr<resp_reader> reader_;
  std::unique_ptr<char[]> received_;
  std::string waiting_, flying_;
  std::size_t flown_ = 0;
  iovec piece_{};
  msghdr message_{};
};

} // namespace ringcast::engine
