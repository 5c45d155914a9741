// Everything a shard sends. During a loop turn output is collected, and flush() sends it, once for each connection:
//
//   own output      bytes written for one connection (answers, pongs, HTTP) lie in the turn's arena
//   room output     the new part of a room's log; members that keep up are served straight from the log
//   gathered        a connection with own output, several rooms, or frames it must not hear: pieces of both, in one send
//
// Each send is first tried inline: it runs during submit and leaves no completion when everything was taken. What was not taken makes the
// connection fall behind: it gets a backlog with one ordinary send in flight, and its own later output queues there, until it has caught
// up. So a connection never has two sends under way.
//
// What does not wait for the flush: send_direct() gives a large message to TCP at once, if nothing of its connection waits, since to copy it
// would cost more than the system call; and a backlog goes on when its send completes.
#pragma once

#include "engine/base/block_pool.hpp"
#include "engine/base/byte_sink.hpp"
#include "engine/base/turn_arena.hpp"
#include "engine/connection/connection.hpp"
#include "engine/io/ring.hpp"
#include "engine/room/room.hpp"
#include "engine/room/room_host.hpp"
#include "proto/held_bytes.hpp"

#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace ringcast::engine {

class room_table;

// Bytes in one growing block.
struct byte_queue {
  block memory;
  std::uint32_t size = 0;
};

struct backlog {
  static constexpr std::size_t pieces_max = 32;

  bool in_flight = false;
  byte_queue queued;              // own output that waits
  byte_queue flying;              // own output in the send in flight
  std::uint32_t own_flying = 0;   // how much of the send in flight is own output, encrypted or not
  std::uint64_t flying_bytes = 0; // of the whole send
  std::uint64_t flying_plain_bytes = 0; // own output that is in it encrypted, as long as it was before
  msghdr message{};
  std::array<iovec, pieces_max> pieces{};
  std::array<log_chunk*, pieces_max> pinned{}; // chunks that the send in flight reads
  std::uint32_t pinned_count = 0;
  std::uint64_t gap_first = 0, gap_last = 0; // what it is to be told of before anything more is sent; 0: nothing
  room_position anew{}; // or of this
  held_share held{sizeof(backlog)};

  [[nodiscard]] std::size_t held_bytes() const { return sizeof(backlog) + queued.memory.capacity + flying.memory.capacity; }
  [[nodiscard]] std::uint64_t own_bytes() const { return queued.size + own_flying; }
};

struct outbox_counters {
  std::uint64_t sends = 0;          // inline ones, each a member or a connection served
  std::uint64_t sends_short = 0;    // of these, those that fell short
  std::uint64_t backlog_sends = 0;
  std::uint64_t bytes_direct = 0;   // large messages sent without a copy
  std::uint64_t bytes_sent = 0;     // all others that TCP has taken; what the last flush handed over counts as taken until it is known otherwise
  std::uint64_t gaps = 0;           // that were told
};

class outbox {
 public:
  outbox(room_host& host, room_table& rooms, ring& r, block_pool& blocks);
  ~outbox();

  // Room for bytes of the connection's own output, to be filled at once. No bound of its own: the caller looks at waiting_bytes(). Throws
  // std::bad_alloc where there is no memory.
  [[nodiscard]] std::byte* extend(connection& c, std::size_t bytes);
  void append_text(connection& c, std::string_view text) {
    if (!text.empty()) std::memcpy(extend(c, text.size()), text.data(), text.size());
  }
  // Gives back the last `bytes` of what extend() returned last for this connection.
  void shorten(connection& c, std::size_t bytes);

  // Sends at once what is too large to copy, if nothing of this connection waits; returns false if something does. What TCP does not take
  // is copied.
  [[nodiscard]] bool send_direct(connection& c, std::span<const std::byte> bytes);

  // Own output that has not been handed to TCP yet: what waits, what is in flight, what was gathered in this turn, and what the connection's
  // TLS session has said by itself.
  [[nodiscard]] std::uint64_t waiting_bytes(const connection& c) const {
    std::uint64_t sum = c.behind != nullptr ? c.behind->own_bytes() : c.gather != none ? now_->gatherings[c.gather].own_bytes : 0;
    if (c.encrypted) [[unlikely]]
      sum += ciphertext_bytes(c);
    return sum;
  }
  // Of a connection in the client role, whose output is all its own and is counted before encryption: how much of it TCP has taken since
  // count_taken(), and how much of what it was given since then it has not. What a flush handed over counts as taken until the failures of that
  // flush are known; a send of ciphertext that was taken in part counts as not taken.
  void count_taken(const connection& c);
  [[nodiscard]] std::uint64_t taken_bytes(const connection& c) const { return taken_[c.slot]; }
  [[nodiscard]] std::uint64_t untaken_bytes(const connection& c) const {
    if (c.behind != nullptr) return c.behind->queued.size + (c.encrypted ? c.behind->flying_plain_bytes : c.behind->own_flying);
    return c.gather != none ? now_->gatherings[c.gather].own_bytes : 0;
  }
  // It is not known yet of all of its output whether TCP takes it, or it never will.
  [[nodiscard]] static bool is_undecided(const connection& c) { return c.gather != none || c.behind != nullptr; }

  // The same, and what its rooms have for it that no send has finished with.
  struct waiting {
    std::uint64_t bytes;
    std::uint64_t messages = 0; // of rooms, that no send has begun with
  };
  [[nodiscard]] waiting all_waiting(const connection& c) const;
  // All output that connections were ever given.
  [[nodiscard]] std::uint64_t produced_bytes() const { return produced_bytes_; }

  // Bytes that a connection's TLS session made by itself, in front of all its other output of this turn.
  void append_ciphertext(connection& c, std::span<const std::byte> bytes);

  // End of turn.
  void flush();
  // All failures of the last flush have been reported.
  void settle();
  [[nodiscard]] std::uint32_t members_served_by_last_flush() const { return members_served_; }
  [[nodiscard]] bool has_output() const { return !now_->gatherings.empty(); }

  // Completions.
  void on_inline_send_failed(op_tag tag, std::int32_t result);
  void on_member_send_failed(op_tag tag, std::int32_t result);
  void on_send(connection& c, std::int32_t result);

  // What the connection is told of now, in one room: the messages that the policy took from it, or that were lost.
  struct told_gap {
    std::uint64_t first = 0, last = 0; // 0: it is another epoch instead
    room_position anew{};              // behind which it goes on
  };
  [[nodiscard]] std::optional<told_gap> take_gap(connection& c);
  // It has been told of them.
  void go_on(connection& c);
  // A shard that rests lets go of what a large turn has made the lists and the arenas grow to. Between settle() and the next output.
  void trim();

  // What the room says next does not follow what it has said before: everybody is sent what came before, and told; whoever is behind loses what it
  // has not been sent. Between the failures of the last flush and the next flush. An epoch of 0 stays as it is.
  void break_log(room_part& r, const room_position& at);
  // Its output goes on at the end of the turn's flush, part by part: there is more than a turn's worth.
  void begin_backlog(connection& c);

  // The connection ends: its output is dropped. Pieces in flight stay pinned until their completion.
  void forget(connection& c);

  [[nodiscard]] const outbox_counters& counters() const { return counters_; }

 private:
  struct segment {
    std::byte* bytes;
    std::uint32_t size;
    std::uint32_t next; // of the same gathering
  };
  struct deaf_range { // bytes of a room that their author is not sent
    const room_part* where;
    std::uint64_t from, to;
    std::uint32_t next;
  };
  struct gathering {
    std::uint32_t slot;
    std::uint32_t generation;
    std::uint32_t first_segment, last_segment;
    std::uint32_t first_deaf, last_deaf;
    std::uint64_t own_bytes;  // that the connection was given
    std::uint64_t sent_bytes; // that the flush handed over
  };
  struct turn {
    explicit turn(block_pool& blocks) : arena(blocks) {}
    turn_arena arena;
    std::vector<gathering> gatherings;
    std::vector<segment> segments;
    std::vector<deaf_range> deaf;
  };
  static constexpr std::uint32_t none = UINT32_MAX;

  gathering& gathering_of(connection& c);
  [[nodiscard]] static std::uint64_t ciphertext_bytes(const connection& c);
  [[nodiscard]] std::byte* extend_gathering(gathering& gathered, std::size_t bytes);
  void flush_room(room_part& r);
  void send_to_members(const room_part& r);
  void flush_gathering(std::uint32_t index);
  void collect_deaf_authors(room_part& r);
  void add_pieces(const room_part& r, std::uint64_t from, std::uint64_t to, std::uint64_t& bytes); // to scratch_
  void send_pieces(op_tag tag, int socket, std::span<const iovec> pieces, std::size_t bytes); // of all of them
  [[nodiscard]] msghdr* shared_header(std::span<const iovec> pieces);

  // Where there is no memory for what a connection is to be sent later, it ends.
  template <class Work> void queue_or_end(connection& c, Work&& work);
  backlog& start_backlog(connection& c);
  void serve_in_parts(room_part& r);
  void serve_in_parts(connection& c, const gathering& gathered);
  void fall_behind_excused(connection& c, membership& seat);
  void fall_behind_at(connection& c, membership& seat, std::uint64_t position);
  void append(byte_queue& queue, std::span<const std::byte> bytes);
  [[nodiscard]] std::byte* grow(byte_queue& queue, std::size_t bytes);
  void go_on_with_backlogs();
  void pump(connection& c);
  void send_rest(connection& c, std::uint64_t bytes);
  [[nodiscard]] std::uint32_t collect_plain(connection& c);
  void drop_taken(connection& c);
  void unpin(backlog& b);

  // outbox_encrypted.cpp
  [[nodiscard]] bool encrypt_gathering(connection& c, std::uint32_t index);
  bool write_scratch(connection_layers& layers, byte_sink target);
  void on_plain_send_short(connection& c, const gathering& gathered, std::uint64_t sent);
  void on_encrypted_send_short(connection& c, const gathering& gathered, std::uint64_t sent);
  void collect_encrypted(connection& c);

  void note_untaken(const connection& c, const gathering& gathered, std::uint64_t taken);
  void note_taken(const connection& c, backlog& b, std::uint64_t taken, bool whole);
  void dissolve(connection& c);

  room_host& host_;
  room_table& rooms_;
  ring& ring_;
  block_pool& blocks_;
  turn first_, second_;
  turn* now_ = &first_;     // being collected
  turn* before_ = &second_; // flushed; its failures may still be reported
  std::vector<iovec> scratch_;
  std::vector<connection*> going_on_; // their backlogs go on at the end of the flush
  std::vector<std::span<const std::byte>> plaintext_;
  std::vector<std::uint64_t> taken_; // by slot, as far as there are connections in the client role
  std::uint32_t members_served_ = 0;
  std::uint64_t produced_bytes_ = 0;
  outbox_counters counters_;
};

// Where a connection's TLS session puts what it says by itself.
struct ciphertext_target {
  outbox& to;
  connection& c;
  void append(std::span<const std::byte> ciphertext) { to.append_ciphertext(c, ciphertext); }
};

} // namespace ringcast::engine
