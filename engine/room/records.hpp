// What shards say to each other through the mesh: plain values, each a record of one kind, some followed by bytes. "index" and
// "generation" name a room as the shard knows it that is not its home; the home learns that name with attach_room.
#pragma once

#include "engine/room/room.hpp"
#include "engine/room/room_history.hpp"
#include "engine/room/room_log.hpp"
#include <ringcast/cluster.hpp>
#include <ringcast/opcode.hpp>
#include <ringcast/position.hpp>

#include <cstdint>
#include <functional>
#include <span>

namespace ringcast::engine {

class shard;

// How much memory outside of a record it points to: what is on its way is bounded by that, too.
enum class record_kind : std::uint32_t;
[[nodiscard]] std::uint64_t pointed_bytes(record_kind kind, std::span<const std::byte> record);

enum class record_kind : std::uint32_t {
  attach_room,    // to the home, + name
  detach_room,    // to the home
  member_count,   // to the home
  publish,        // to the home, + payload
  publish_large,  // to the home; the payload is in memory that the home frees
  span,           // from the home
  report_request, // from the home, behind the span that it asks about
  report_expect,  // from the home to the shard that wants the report: how many answers will come
  report,         // to the shard that wants it
  refused,        // from the home to the shard of a member: messages of its that were not published
  claim_seat,     // to the home, + name if there is one
  claim_answer,   // from the home
  release_name,   // to the home, + name
  user_joined,    // to the home, + user
  user_left,      // to the home, + user
  presence,       // from the home, + what is told of users
  room_query,     // to a home, + name: of the room, or of the one behind which a listing goes on
  room_answer,    // from a home, + text
  room_call,      // to the home, + the room's name, a member's, and a payload
  room_call_large, // the same; all of it is in memory that the home frees
  history_query,  // to the home, + the room's name
  history_answer, // from the home
  leave_room,     // to the shard of a connection, + the room's name
  deliver,        // to the shard of a connection, + payload
  deliver_large,  // the same; the payload is in memory that the shard frees
  close,          // to the shard of a connection, + reason
  log_break,      // from the home, behind the last span in front of it
  cluster_notice, // from the home
  run,            // a function from another thread
  said_all,       // a shard that stops: it makes no more publications; behind the last of them
  published_all,  // a shard that stops: its rooms' logs have ended; behind their last spans
};

struct room_ref {
  std::uint32_t index;
  std::uint32_t generation;
};

struct attach_record {
  room_ref room;
  room_encoding encoding;
};

struct member_count_record {
  room_ref room;
  std::uint32_t members;
};

struct publish_record {
  room_ref room;
  std::uint64_t author;
  std::uint32_t report_id; // 0: no report wanted
  opcode op;
  bool author_hears;
};

struct publish_large_record {
  publish_record head;
  std::byte* payload; // made by operator new[]
  std::uint64_t bytes;
};

struct span_record {
  room_ref room;
  log_span span;
};

struct report_request_record {
  room_ref room;
  std::uint32_t reporter; // shard
  std::uint32_t report_id;
};

struct report_expect_record {
  std::uint32_t report_id;
  std::uint32_t shards;
  room_position position; // of the message
  bool too_fast = false;    // it was not published
  bool unavailable = false; // there is no engine of the cluster to publish it
};

struct refused_record {
  std::uint64_t author;
  std::uint32_t messages;
};

struct report_record {
  std::uint32_t report_id;
  broadcast_report counts;
};

struct name_record {
  room_ref room;
  std::uint64_t connection;
};

// What is to be heard of what was said before. A claim without it is answered without a position.
struct replay_wish {
  bool wanted = false;
  bool has_after = false;
  std::uint32_t last = 0;
  std::uint32_t messages_max = 0; // no spans behind so many messages; 0: all of them
  room_position after;

  replay_wish() = default;
  explicit replay_wish(const replay_options& from, std::uint32_t most = 0)
      : wanted(true), has_after(from.after.has_value()), last(from.last), messages_max(most), after(from.after.value_or(room_position{})) {}
};

struct claim_record { // + name
  room_ref room;
  std::uint64_t connection;
  std::uint32_t asker;       // who waits for the answer; 0: the upgrade of the connection
  std::uint32_t first_seats; // room_part::first_seats
  std::uint32_t seats;       // room_part::seats(), with this one
  bool takes_over;           // the name, from whoever has it
  replay_wish wish{};
};

enum class claim_verdict : std::uint8_t {
  granted,
  name_taken,
  room_full,
  unavailable, // there is no engine of the cluster
};

struct claim_answer_record { // + name
  claim_record claim;
  claim_verdict verdict;
  replay* heard; // what was wished for; the shard of the connection frees it
};

struct room_query_record { // + the room's name; of all rooms + the name behind which the listing goes on
  std::uint32_t reporter;
  std::uint32_t query_id;
  std::uint32_t rooms_max; // of all rooms at most so many
  bool all;
};

struct history_query_record { // + the room's name
  std::uint32_t reporter;
  std::uint32_t query_id;
  replay_wish wish;
  std::uint32_t wait_ms; // how long the answer may wait for a message behind wish.after
};

struct history_answer_record {
  std::uint32_t query_id;
  replay* heard; // the shard that asked frees it; null: there is no such room
};

struct room_answer_record {
  std::uint32_t query_id;
  bool last; // of this shard
  bool found;
  bool more;  // of all rooms: this shard has more of them
  std::uint16_t name_bytes; // in front of the text stands the name of the last one that was passed
  std::uint32_t members;
  std::uint32_t rooms; // listed in the text
  std::uint32_t users; // of a single room
};

struct deliver_record {
  std::uint64_t connection;
  opcode op;
  std::uint16_t close_code;
};

enum class room_call_kind : std::uint8_t { publish, send_to, leave };

struct room_call_record {
  room_call_kind what;
  opcode op;
  std::uint16_t name_bytes;
  std::uint16_t id_bytes;
};

struct room_call_large_record {
  std::byte* record; // a room_call with what is behind it, made by operator new[]
  std::uint64_t bytes;
};

// What a room says next does not follow what it has said before.
struct log_break_record {
  room_ref room;
  room_position at; // what comes next is behind this; epoch 0: in the same epoch, and what is between is lost
};

struct cluster_notice_record {
  room_ref room;
  std::uint64_t connection; // 0: all members of the room
  cluster_state what;
};

struct run_message {
  std::function<void(shard&)>* work; // the shard frees it
};

struct deliver_large_record {
  deliver_record head;
  std::byte* payload; // made by operator new[]
  std::uint64_t bytes;
};

} // namespace ringcast::engine
