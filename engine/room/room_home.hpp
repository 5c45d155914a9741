// The home of rooms: the one shard, chosen by the hash of a room's name, that writes the room's log and keeps the names of its members.
//
// What shards publish is appended at once and thereby ordered; at the end of the loop turn the new spans go to every shard that has
// members of the room. Members that negotiated permessage-deflate, or that want to see the numbers, read logs of their own, so a broadcast is
// compressed once, here. Where rooms have a history it is kept here, too. One home_table a shard, on its thread.
#pragma once

#include "engine/base/keyed_hash.hpp"
#include "engine/base/token_bucket.hpp"
#include "engine/room/records.hpp"
#include "engine/room/room_history.hpp"
#include "engine/room/room_log.hpp"
#include "engine/room/room_presence.hpp"
#include "engine/room/room_rulebook.hpp"
#include <ringcast/connection_handle.hpp>
#include <ringcast/position.hpp>
#include <ringcast/rooms.hpp>

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace ringcast::engine {

// How the home reaches a shard, itself included; the bytes are copied.
class shard_courier {
 public:
  virtual void deliver(std::uint32_t to, record_kind kind, std::span<const std::byte> value, std::span<const std::byte> more) = 0;

 protected:
  ~shard_courier() = default;
};

struct clustered;
class cluster_engine;
class home_cluster;

struct home_room {
  home_room();
  ~home_room();
  // A part of the room on a shard; a shard may have one for each encoding.
  struct branch {
    std::uint32_t shard;
    room_ref room; // its name there
    std::uint32_t members;
    room_encoding encoding;
  };
  struct wanted_report {
    std::uint32_t reporter;
    std::uint32_t report_id;
    std::uint64_t sequence; // of the message
  };
  // The log in one encoding: there is one as long as somebody reads it, and of what was published what is kept.
  struct encoded {
    room_log log;
    std::unique_ptr<room_history> kept; // null: the room has no history
    std::uint32_t branches = 0;
    std::uint64_t used_ms = 0; // when somebody last asked for what is kept
  };
  std::string name;
  const rules_of_room* rules = nullptr; // of the shard's book
  std::uint64_t epoch = 0;
  std::array<std::unique_ptr<encoded>, room_encodings> encodings;
  std::uint64_t next_sequence = 1;
  std::uint64_t published_end = 1; // one more than the number of the last message that was published
  std::vector<branch> branches;
  std::unordered_map<std::string, std::uint64_t, peer_hash, std::equal_to<>> names; // of members -> connection_handle
  std::vector<wanted_report> reports; // asked for in this turn
  // Somebody who has heard everything, and is answered when there is more, or the time is over.
  struct waiting_reader {
    history_query_record query;
    std::uint64_t until_ms;
  };
  std::vector<waiting_reader> readers;
  std::unique_ptr<clustered> cluster; // null: the room is this server's alone
  std::unique_ptr<room_presence> presence; // null: nobody has come as a user
  std::uint32_t members_here = 0; // on the home's own shard, which serves them
  token_bucket rate; // of messages
  bool dirty = false;

  [[nodiscard]] std::uint32_t members() const;
  [[nodiscard]] encoded* of(room_encoding encoding) const { return encodings[index_of(encoding)].get(); }
  // What is kept of what was said: the history of the plain encoding. Null: nothing ever is.
  [[nodiscard]] room_history* history() const {
    const encoded* const plain = of(room_encoding::plain);
    return plain == nullptr ? nullptr : plain->kept.get();
  }
  [[nodiscard]] bool has_history() const { return history() != nullptr && !history()->empty(); }
};

struct home_counters {
  std::uint64_t seats_refused = 0; // the room was full
  std::uint64_t messages_refused = 0; // came too fast
};

class home_table {
 public:
  home_table(block_pool& blocks, shard_courier& courier, std::uint32_t own, std::uint32_t shards, compressor& with,
             const compression_options& compression, const room_rulebook& rules, std::uint64_t history_bytes_max, const presence_options& presence,
             const std::uint64_t& now_ms);
  ~home_table();
  // Before any room: rooms of the cluster are ordered by this engine. Without one they are like the others.
  void use(cluster_engine& engine);
  // Null: there is no engine.
  [[nodiscard]] home_cluster* cluster() const { return cluster_.get(); }

  void attach(std::uint32_t shard, const attach_record& part, std::string_view name);
  void detach(std::uint32_t shard, room_ref room);
  void set_members(std::uint32_t shard, room_ref room, std::uint32_t members);
  void publish(std::uint32_t shard, const publish_record& head, std::span<const std::byte> payload);

  // Answers, at once or when it is known where the room stands: whether the connection may take its seat, and what it hears of what was said before. It
  // may if the room is not full, and nobody has its name, or it takes that over.
  void claim(std::uint32_t shard, const claim_record& claim, std::string_view name);
  // What somebody hears who takes a seat now. Null: there is no such room.
  [[nodiscard]] std::unique_ptr<replay> replay_for(std::uint32_t shard, room_ref room, const replay_wish& wish);
  // The same of what is kept, for those who know only the name of the room.
  [[nodiscard]] std::unique_ptr<replay> read(std::string_view room, const replay_wish& wish);
  // Whoever asks for what is behind the newest message is answered when there is more; false: it is to be answered at once.
  [[nodiscard]] bool wait(std::string_view room, const history_query_record& query);
  [[nodiscard]] bool has_readers() const { return readers_ > 0; }
  // Server stop: nobody waits any more.
  void answer_readers();
  // For those who know only the name of the room. False if it has no members, and keeps nothing.
  [[nodiscard]] bool publish_to(std::string_view room, opcode op, std::span<const std::byte> payload);
  [[nodiscard]] connection_handle member(std::string_view room, std::string_view name) const;
  void release_name(std::uint32_t shard, room_ref room, std::string_view name, std::uint64_t connection);
  [[nodiscard]] std::uint64_t find_name(std::uint32_t shard, room_ref room, std::string_view name) const;

  // A connection of this user has come, or gone: room_home_presence.cpp.
  void user_joined(std::uint32_t shard, room_ref room, std::string_view user);
  void user_left(std::uint32_t shard, room_ref room, std::string_view user);
  // To be called each second, as long as something is due.
  void tell_counts();
  [[nodiscard]] bool has_presence_due() const { return !leaving_.empty() || !counts_due_.empty(); }

  // End of turn: what was appended goes to the shards with members; memory that every reader has left is taken back.
  void publish_spans();
  void reclaim() { chunks_.reclaim(); }
  // Looks at some of the rooms that keep something, and lets go of what has become too old; to be called each second. False: none keeps anything.
  bool expire();
  // Server stop: nothing is kept any more.
  void drop_history();
  [[nodiscard]] const history_store& kept() const { return store_; }
  [[nodiscard]] const home_counters& counters() const { return counters_; }
  [[nodiscard]] const chunk_store& chunks() const { return chunks_; }
  [[nodiscard]] bool has_unpublished() const { return !dirty_.empty(); }

  // All bytes that were ever appended to logs, times the members on this shard that are sent them; writing a log counts as sixteen members.
  [[nodiscard]] std::uint64_t fan_out_bytes() const { return fan_out_bytes_; }

  [[nodiscard]] const home_room* find(std::string_view name) const;
  // Calls visit(home_room) for the rooms behind `after` that have members, in the order of their names, at most `count`. Looks at no more
  // than some hundred rooms beyond these.
  struct list_end {
    std::string_view last; // the next call goes on behind this one
    bool more;
  };
  template <class Visit> [[nodiscard]] list_end list(std::string_view after, std::size_t count, Visit&& visit) const {
    std::size_t looks_left = count + empty_rooms_passed_max;
    std::string_view last = after;
    for (auto at = rooms_.upper_bound(after); at != rooms_.end(); ++at) {
      if (looks_left-- == 0) return {last, true};
      if (at->second->members() > 0) {
        if (count-- == 0) return {last, true};
        visit(*at->second);
      }
      last = at->first;
    }
    return {last, false};
  }
  [[nodiscard]] std::size_t size() const { return rooms_.size(); }

 private:
  friend class home_cluster;
  void answer_claim(std::uint32_t shard, const claim_record& claim, std::string_view name);
  void tell_verdict(std::uint32_t shard, const claim_record& claim, std::string_view name, claim_verdict verdict, std::unique_ptr<replay> heard = {});
  [[nodiscard]] bool claim_name(std::uint32_t shard, const claim_record& claim, std::string_view name);
  [[nodiscard]] bool has_seat(std::uint32_t shard, const claim_record& claim, const home_room& home);
  void drop_history(home_room& home);

  using rooms_by_name = std::map<std::string, std::unique_ptr<home_room>, std::less<>>;

  home_room& make(std::string_view name);
  void forget(home_room& home); // if nothing needs it any more
  void read_encoding(home_room& home, room_encoding encoding);
  void append(home_room& home, opcode op, std::span<const std::byte> payload, std::uint64_t author, bool author_hears);
  void append_to(room_log& log, room_encoding encoding, std::uint64_t epoch, log_message message);
  void publish(home_room& home);
  // Its rate allows one more message, which is counted; room_home_rate.cpp.
  [[nodiscard]] bool takes_message(home_room& home);
  void refuse(std::uint32_t shard, const publish_record& head);
  void tell_refused();
  // Of one room: all of them, or those whose time is over.
  void answer_readers(home_room& home, bool all);
  void tell_change(home_room& home, std::string_view what, std::string_view user);
  void tell_watchers(const home_room& home, std::string_view json);
  void tell_leavings();
  [[nodiscard]] std::uint32_t publish_encoding(home_room& home, room_encoding encoding);
  void keep(home_room& home, room_encoding encoding);
  [[nodiscard]] std::unique_ptr<replay> replay_of(home_room& home, room_encoding encoding, const replay_wish& wish);
  void encode_kept(home_room& home, room_encoding encoding, std::uint64_t from, std::uint64_t end);
  [[nodiscard]] home_room* room_of(std::uint32_t shard, room_ref room) const;

  // A room without members is one that is about to open or to go.
  static constexpr std::size_t empty_rooms_passed_max = 256;
  // Of a million rooms that keep something each is looked at within some minutes; what is too old is not served meanwhile.
  static constexpr std::size_t rooms_expired_at_once = 1024;
  // How long an encoding is kept that nobody reads: longer than it takes to come back.
  static constexpr std::uint64_t encoding_unused_ms = 60'000;
  // Each costs some hundred bytes here and at the shard that asked, until it is answered, also when the peer has gone. The next one is answered at once.
  static constexpr std::size_t readers_max = 65'536;

  chunk_store chunks_;
  shard_courier& courier_;
  std::uint32_t own_;
  compressor& compressor_;
  const compression_options& compression_;
  const room_rulebook& rules_;
  const presence_options presence_;
  const std::uint64_t& now_ms_; // of the turn
  history_store store_; // in front of the rooms, whose histories are in it
  std::string expire_from_; // the room where expire() goes on
  std::uint64_t rooms_made_ = 0;
  // In the order of their names, so that a listing can be continued, and peers who choose the names cannot make a search long.
  rooms_by_name rooms_;
  std::uint64_t fan_out_bytes_ = 0;
  struct attachment {
    std::uint32_t generation = 0;
    home_room* room = nullptr;
  };
  std::vector<std::vector<attachment>> attached_; // [shard][index]
  std::vector<home_room*> dirty_;
  // Scratch of publish_spans.
  std::vector<home_room*> publishing_;
  std::vector<log_span> spans_;
  std::vector<home_room::branch> targets_;
  std::vector<home_room::wanted_report> reports_;
  std::vector<home_room*> emptied_;
  home_counters counters_;
  std::unordered_map<std::uint64_t, std::uint32_t> refused_; // messages of this turn by their authors
  std::size_t readers_ = 0;
  std::unique_ptr<home_cluster> cluster_;
  std::deque<user_leaving> leaving_; // in the order of their times
  std::uint64_t leavings_ = 0;
  std::vector<home_room*> counts_due_;
};

// Calls visit(sequence, opcode, payload) for each message of a span of a plain log.
void for_each_message(const log_span& span, const std::function<void(std::uint64_t, opcode, std::span<const std::byte>)>& visit);

template <class T> std::span<const std::byte> bytes_of(const T& value) { return {reinterpret_cast<const std::byte*>(&value), sizeof value}; }

} // namespace ringcast::engine
