// Who asked for what, for server_options::on_access. Where nobody has given that, nothing is kept and nothing is done; with it each connection that has
// asked for something has an entry here. One a shard, on its thread.
#pragma once

#include "engine/connection/shard_connections.hpp"
#include "engine/shard/handlers.hpp"
#include "engine/shard/turn_clock.hpp"
#include "proto/http_head.hpp"
#include <ringcast/access.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

namespace ringcast::engine {

class peer_book;

// As access_entry::target says.
[[nodiscard]] std::string told_target(std::string_view target);

class access_book {
 public:
  struct needs {
    const access_taker& taker; // empty: nobody wants to know
    handlers& users;
    shard_connections& connections;
    const peer_book& peers;
    const turn_clock& clock;
  };
  explicit access_book(const needs& with) : with_(with) {}

  void asked(const connection& c, const request_head& head) {
    if (with_.taker) [[unlikely]]
      note(c, head);
  }
  void answered(const connection& c, std::uint16_t status) {
    if (with_.taker) [[unlikely]]
      tell(access_event::answered, c, status);
  }
  void opened(const connection& c) {
    if (with_.taker) [[unlikely]]
      note_opened(c);
  }
  // Its descriptor is still open.
  void released(const connection& c) {
    if (with_.taker) [[unlikely]]
      note_released(c);
  }

 private:
  struct visit {
    std::string address, target;
    std::uint64_t begin_ms = 0;
    bool open = false;
  };
  void note(const connection& c, const request_head& head);
  void note_opened(const connection& c);
  void note_released(const connection& c);
  void tell(access_event what, const connection& c, std::uint16_t code);

  const needs with_;
  std::unordered_map<std::uint32_t, visit> visits_; // by slot
};

} // namespace ringcast::engine
