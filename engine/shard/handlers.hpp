// The one place of a shard that calls what users have written: the callbacks of the event face, of clients, and of questions to rooms.
//
// Messages, control frames, requests and upgrades are told where they are read, as views of the received bytes; nothing above them on the
// stack holds what a call into the library could take away. Everything else is only noted where it happens, in the middle of completions,
// closing and walks over members, and told by run(), when no list of the shard is half changed. So a callback may call everything.
//
//   noted:  at most once for each kind and connection, as a bit in connection::untold; a connection is not released while one is set
//   told:   in the order of user_event, before the turn publishes and flushes
//
// Whatever is thrown out of a callback ends in one rule: its connection is closed with 1011, or answered 500 if it is no WebSocket yet; it
// is logged with the place where the callback was registered, and counted.
#pragma once

#include "engine/base/hold_watch.hpp"
#include "engine/connection/connection.hpp"
#include "engine/connection/user_events.hpp"
#include "engine/shard/client_link.hpp"
#include "proto/violation.hpp"
#include <ringcast/access.hpp>
#include <ringcast/events.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <source_location>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace ringcast::engine {

class shard;
struct route;

class handlers {
 public:
  explicit handlers(shard& owner) : shard_(owner) {}

  // --- told at once ---
  void message(connection& c, const message_view& view);
  void control(connection& c, opcode op, std::span<const std::byte> payload);
  void request(connection& c, const route& to, const http_request& received);
  // False if it threw.
  [[nodiscard]] bool upgrade(connection& c, const websocket_endpoint& endpoint, upgrade_request_view& decision);

  void going_away(connection& c, std::chrono::milliseconds retry_after);

  void access(const access_taker& taker, const access_entry& told);

  // Of the library's own endpoints (websocket_endpoint::is_internal).
  void internal_closed(connection& c, std::string_view reason);
  void internal_drained(connection& c);

  // --- noted, and told by run() ---
  void note(connection& c, user_event what);
  void note_closed(connection& c, std::string_view reason);
  // A Close frame for a broken rule.
  void note_violation(connection& c, violation broken);
  void note_attempt_failed(connection& c, const client_error& error);
  // What upgrade_request_view::set_user() was given has found no WebSocket.
  void note_discarded(const websocket_endpoint& endpoint, void* user);
  // The answer to a question that was asked in a handler of `asked_by`, if it was asked in one.
  void note_answer(std::function<void()> call, connection_handle asked_by, const std::source_location& where);
  // A function of the program that no connection has asked for.
  void note_cluster(connection_handle who, const std::string& room, cluster_state what);
  void note_posted(std::function<void()> call, const std::source_location& where);

  void run();
  [[nodiscard]] bool has_untold() const { return !untold_.empty() || !calls_.empty(); }
  // Of the connection whose callback is running; none outside of callbacks.
  [[nodiscard]] connection_handle running() const { return running_; }
  void forget(const connection& c) {
    if (!words_.empty()) words_.erase(c.slot);
  }

  // Callbacks are timed from now on; the watch outlives this.
  void set_watch(hold_watch* watch) { watch_ = watch; }

  // Inside a catch (...): the rule, for what no connection belongs to, and for coroutines.
  void log_thrown(std::string_view what, const std::source_location& where);

 private:
  template <class Call> bool call(connection_handle who, std::string_view what, const std::source_location& where, Call&& callback);
  void on_thrown(connection_handle who, std::string_view what, const std::source_location& where);
  void tell(connection_handle who);
  void tell_gap(connection& c);
  void tell_dropped(connection& c);
  [[nodiscard]] bool must_wait(const connection& c) const;
  void tell_closed(connection& c);
  void tell_attempt_failed(connection& c);

  struct waiting_call {
    std::function<void()> call;
    connection_handle asked_by;
    std::string_view what;
    std::source_location where;
  };
  // What the end of a connection is told with.
  struct last_words {
    std::string reason;
    violation broken = violation::none;
    client_error error;
  };

  shard& shard_;
  hold_watch* watch_ = nullptr; // null: nobody looks at the clock
  connection_handle running_;
  std::vector<connection_handle> untold_;
  std::vector<connection_handle> undecided_; // clients' connections that are over, as soon as the kernel has answered to their last output
  std::vector<waiting_call> calls_, calling_;
  std::unordered_map<std::uint32_t, last_words> words_; // by slot
};

} // namespace ringcast::engine
