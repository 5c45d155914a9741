// The rooms as one shard sees them: which of its connections sit in which room, and the part of each room's log that they still need.
//
// A room is attached to its home shard when it is first named here and detached when nobody here needs it any more.
#pragma once

#include "engine/base/keyed_hash.hpp"
#include "engine/room/room.hpp"
#include "engine/room/room_home.hpp"
#include "engine/room/room_host.hpp"
#include "engine/room/room_rulebook.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace ringcast::engine {

// The shard that is the home of a room: by the hash of its name, the same on every thread of the process, and nobody outside can tell which.
[[nodiscard]] std::uint32_t room_home_shard(std::string_view name, std::uint32_t shards);

struct room_counters {
  std::uint64_t spans_applied = 0;
  std::uint64_t members_closed_slow = 0;
  std::array<std::uint64_t, slow_consumer_policies> messages_lost{}; // by policy
  std::uint64_t deliveries = 0; // messages times members that they were queued for
};

class room_table {
 public:
  // A message of more than `record_bytes_max` goes to another shard by its address.
  room_table(room_host& host, home_table& home, std::uint32_t shards, std::uint32_t record_bytes_max, const room_rulebook& rules);
  ~room_table();

  [[nodiscard]] room_part& at(std::string_view name, room_encoding encoding);
  // A part of the room if this shard has one now, or null; to publish there it does not matter which.
  [[nodiscard]] room_part* known(std::string_view name) const {
    for (const auto& by_name : by_name_)
      if (const auto found = by_name.find(name); found != by_name.end()) return found->second;
    return nullptr;
  }
  [[nodiscard]] room_part* find(room_ref ref);
  [[nodiscard]] std::uint32_t home_of(std::string_view name) const;

  // A seat for somebody who waits for the home to know of it: see seat_claims. As long as it is kept the room stays.
  void reserve(room_part& r);
  void end_reservation(room_ref ref);
  // The home has answered a claim that was made when this part had had so many first seats.
  void home_answered(room_ref ref, std::uint32_t first_seats);

  // The connection takes a seat and hears what is published from now on. A connection sits in a room at most once. The part is that of the
  // connection's encoding.
  membership& join(connection& c, room_part& r, hearing hears);
  // The same for somebody who hears first what was said before. If that is not nothing, the connection has a backlog.
  membership& join(connection& c, room_part& r, hearing hears, replay& heard);
  // It is told of users from now on.
  void watch(membership& seat) {
    if (!seat.where->rules->presence) return;
    seat.watches = true;
    ++seat.where->watchers;
  }
  // The homes of its rooms learn which user it is, and it hears of others from now on: what was said in on_open stands in front of that.
  void tell_users(connection& c);
  // The members that are told of users, for whoever sends it to them: that may close some.
  void list_watchers(room_ref ref, std::vector<connection_handle>& out);
  // All members.
  void list_members(const room_part& r, std::vector<connection_handle>& out);
  void leave(connection& c, room_part& r);
  void leave_all(connection& c);
  [[nodiscard]] static membership* seat_of(connection& c, const room_part& r);

  // Hands a message to the room's home. It comes back as a span.
  void publish(room_part& r, const publish_record& message, std::span<const std::byte> payload);

  // From the home.
  void apply(const span_record& message);
  [[nodiscard]] broadcast_report last_report(room_ref ref);

  // A member's send fell short: it becomes a laggard that goes on at `cursor`.
  lag& fall_behind(connection& c, membership& seat, std::uint64_t cursor);
  // A laggard needs less of the room's window than before.
  void went_on(room_part& r);
  // A laggard has been sent everything up to the last flush: it keeps up again.
  void catch_up(connection& c, membership& seat);

  // After a connection's always_gathered has changed.
  void update_gathered(connection& c);

  // The rooms with something to send in this turn; the outbox serves them and then calls flushed().
  [[nodiscard]] std::vector<room_part*>& dirty() { return dirty_; }
  void flushed();
  // A member does not hear a message of this turn, because it is its own.
  void count_unheard() { --counters_.deliveries; }
  // The failed sends of the last flush are known: lets go of what nobody needs any more.
  void settle();
  [[nodiscard]] bool has_unsettled() const { return !settling_.empty() || !empty_.empty(); }
  // End of turn: tells homes about members, and lets go of rooms without any.
  void end_turn();

  [[nodiscard]] const room_counters& counters() const { return counters_; }
  // Parts of rooms.
  [[nodiscard]] std::size_t size() const {
    std::size_t sum = 0;
    for (const auto& by_name : by_name_) sum += by_name.size();
    return sum;
  }
  // Server stop: drops every window. Connections have left before.
  void clear();

 private:
  void begin_window(room_part& r, std::uint64_t sequence);
  void apply_policy(room_part& r, const log_span& span, std::uint64_t position, broadcast_report& report);
  std::uint32_t skip_to(room_part& r, membership& seat, std::uint64_t position);
  void remove_from_keeping_up(room_part& r, membership& seat);
  void add_to_keeping_up(room_part& r, connection& c, membership& seat);
  void remove_from_laggards(room_part& r, membership& seat);
  void members_changed(room_part& r, std::uint32_t before);
  void send_member_count(room_part& r);
  void trim(room_part& r);
  [[nodiscard]] std::uint64_t& lost_to_policy(const room_part& r) { return counters_.messages_lost[static_cast<std::size_t>(r.rules->policy)]; }

  room_host& host_;
  home_table& home_;
  std::uint32_t shards_;
  std::uint32_t record_bytes_max_;
  const room_rulebook& rules_;
  std::array<std::unordered_map<std::string_view, room_part*, peer_hash>, room_encodings> by_name_; // by encoding; views of room_part::name
  std::vector<std::unique_ptr<room_part>> rooms_;            // by index; a free place keeps its room object for its generation
  std::vector<std::uint32_t> free_;
  std::vector<room_part*> dirty_, settling_, counts_changed_, empty_;
  std::vector<connection*> to_close_; // scratch of apply_policy
  room_counters counters_;
};

} // namespace ringcast::engine
