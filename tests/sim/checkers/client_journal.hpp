// What one client of the library told its user, judged as it comes against the order that ringcast/client.hpp promises:
//
//   connect() -> on_open | on_error then (on_reconnecting | on_close)
//   open      -> on_message ... | on_disconnected then (on_reconnecting | on_close)
//
// with on_reconnected in the place of on_open after the first one, the attempts counted from one, every delay within
// the backoff's bound, no new attempt before its delay is over, never two events at once, and nothing after stop().
#pragma once

#include "tests/sim/kernel/kernel.hpp"
#include "tests/sim/rigs/payload.hpp"
#include <ringcast/client.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace ringcast::sim {

struct client_event {
  enum class kind : std::uint8_t { open, message, error, disconnected, closed, reconnecting, reconnected };
  kind what;
  std::uint64_t at_ns = 0;
  std::uint16_t code = 0;
  client_error_kind error = client_error_kind::connect;
  bool clean = false;
  unsigned attempt = 0;
  std::chrono::milliseconds delay{0};
};

class client_journal {
 public:
  client_journal(kernel& world, const reconnect_policy& policy) : world_(world), policy_(policy) {}

  // Before the client's start(). The journal outlives it.
  void attach(client& c);
  // What the user did, just before it is done.
  void will_connect();
  void will_disconnect() { told_to_end_ = true; }
  void has_stopped() { stopped_ = true; }
  // The loop of the client is ending: it may close whatever it does.
  void loop_ends() { told_to_end_ = true; }

  [[nodiscard]] std::size_t count(client_event::kind what) const;
  [[nodiscard]] bool is_open() const { return now_ == phase::open; }
  [[nodiscard]] bool is_closed() const { return now_ == phase::closed; }
  // The events without messages: "open disconnected(1006) reconnecting(1) reconnected".
  [[nodiscard]] std::string story() const;

  std::vector<client_event> events;
  std::vector<said> heard;
  std::size_t heard_since_open = 0;
  std::vector<std::string> failures;
  std::function<void(const client_event&)> on_event; // after it was noted

 private:
  enum class phase : std::uint8_t { closed, attempting, failed, open, lost };

  void note(client_event e, std::string_view text = {});
  void judge(const client_event& e);
  void judge_success(const client_event& e);
  void fail(std::string_view why, const client_event& e);

  kernel& world_;
  reconnect_policy policy_;
  phase now_ = phase::closed;
  bool started_ = false, ever_open_ = false, told_to_end_ = false, stopped_ = false, inside_ = false;
  unsigned connects_ = 0; // calls that have perhaps not been acted upon yet
  unsigned attempts_ = 0;
  std::uint64_t opened_ns_ = 0;
  bool perhaps_success_ = false; // the last connection, within what the journal cannot see
  bool told_later_ = false;      // 1013
  std::uint64_t not_before_ns_ = 0; // the next attempt
};

[[nodiscard]] std::string_view name_of(client_event::kind what);

} // namespace ringcast::sim
