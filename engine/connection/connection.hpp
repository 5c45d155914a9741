// What a shard knows of one connection. Plain state: the shard's parts act on it (socket_reader, outbox, room_table, closer), each on the
// fields that it owns. It lives in the shard's connection_table, on the shard's thread, and never moves.
//
// Small on purpose: two cache lines, and an idle connection owns no other memory. What is needed only at times hangs behind a pointer:
// bytes of an unfinished frame, a fragmented message, output that did not go out in its turn.
#pragma once

#include "engine/base/block_pool.hpp"
#include "engine/base/timer_wheel.hpp"
#include "engine/io/op_tag.hpp"
#include "proto/close_handshake.hpp"
#include "proto/http_body.hpp"
#include "proto/http_head.hpp"
#include "proto/message_assembler.hpp"
#include "proto/unfinished_text.hpp"
#include <ringcast/connection_handle.hpp>
#include <ringcast/events.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <vector>

namespace ringcast::engine {

struct backlog;
struct connection_layers;
struct membership;

enum class connection_phase : std::uint8_t {
  free,
  http,      // request heads; also while an answer is being prepared
  connecting, // of a client: TCP
  upgrading,  // of a client: the answers of a proxy and of the server are awaited
  websocket, // open, or in its closing handshake: see connection::closing
  finishing, // the last bytes are on their way; then the write side is shut down and the peer's end awaited
  ending,    // shut down; waits for the last completion
};

enum class receive_mode : std::uint8_t {
  none,      // nothing armed
  multishot, // provided buffers
  parked,    // armed at the end of the turn, or of the first one that has a provided buffer
  polled,    // large frames: poll, then one hot buffer
  switching, // from multishot to polled: the cancel is under way
  pausing,   // the cancel is under way because output waits, or nobody takes the input now
  paused,    // nothing armed until socket_reader::resume()
};

// A chunked request body under way. Its bytes stand decoded behind the head, so nothing is decoded twice.
struct chunked_body {
  chunked_decoder decoder;
  std::size_t head_bytes;
  std::size_t decoded_bytes = 0;
};

// Bytes that wait for the rest of their frame or request.
struct partial_input {
  block memory;
  std::uint32_t size = 0;
  std::uint32_t wanted = 0; // handle it when this many are there
  head_progress head;       // how far an unfinished request head has been looked at
  unfinished_text text;     // and the text of an unfinished frame
  message_progress progress; // how far it had come when the connection's timer looked last
  std::unique_ptr<chunked_body> body;

  // For what comes next of an unfinished frame: at most so much, and as much as there is memory.
  [[nodiscard]] std::span<std::byte> place(std::size_t most) const {
    return {memory.bytes + size, std::min<std::size_t>(std::min<std::size_t>(wanted, memory.capacity) - size, most)};
  }

  // From a few that each thread keeps: a frame is cut by the end of every receive buffer, and that must not be an allocation.
  static void* operator new(std::size_t bytes);
  static void operator delete(void* memory) noexcept;
};

struct delete_connection_layers {
  void operator()(connection_layers* layers) const noexcept;
};

// Everybody may read a field; behind it stands who writes it, after the acceptor or the connector that took the connection.
struct connection {
  int socket = -1;                  // acceptor, connector
  std::uint32_t slot = 0;           // connection_table
  std::uint32_t generation = 1;     // connection_table
  connection_phase phase = connection_phase::free; // each step by who takes it: acceptor, connector, upgrader, closer
  receive_mode receiving = receive_mode::none;     // socket_reader
  close_handshake closing{role::server};           // websocket_side
  std::uint8_t operations = 0;      // socket_reader, connector, outbox: given to the kernel and not yet completed

  bool always_gathered : 1 = false; // room_table, tls_layer: never served from a dense array alone: several rooms, or encrypted
  bool answering : 1 = false;       // http_side, connector; ends in input_flow: an answer is being prepared, or on_open is to be called
  bool keep_alive : 1 = true;       // http_side
  bool pong_awaited : 1 = false;    // connection_watch; ends in websocket_side
  bool peer_closed : 1 = false;     // input_flow: end of stream was received
  bool end_announced : 1 = false;   // socket_reader: a poll has told of it; it may stand behind bytes that are not yet read
  bool continue_sent : 1 = false;   // http_side: 100 Continue
  bool head_only : 1 = false;       // http_side: HEAD
  bool handler_told : 1 = false;    // upgrader, connector; ends in closer: on_open was called or will be, so on_close must be
  bool is_client : 1 = false;       // connector: this end is the client, and masks what it sends (RFC 6455 5.1)
  bool input_held : 1 = false;      // input_flow: the endpoint takes no messages now; see input_flow::hold()
  bool encrypted : 1 = false;       // tls_layer: by layers->tls
  bool input_stopped : 1 = false;   // input_flow, and closer when no more is wanted: it waits for a later turn; see input_flow::stop()
  bool admitted : 1 = false;        // acceptor: counted by the server's admission; one that is accepted and not admitted is being refused
  bool event_stream : 1 = false; // upgrader: a WebSocket's place, but events of an HTTP body go out in place of frames, and what comes in is dropped
  bool buffer_missed : 1 = false; // socket_reader: its last receive found no provided buffer; the next takes one and no more
  bool proxy_header_awaited : 1 = false; // acceptor; ends in proxied_input: what comes first is not its own
  bool end_sent : 1 = false; // closer: SHUT_WR
  bool was_asked : 1 = false; // http_side: its first request has come
  bool message_open : 1 = false; // websocket_side: a message goes out in fragments, and no other may stand between them
  std::uint8_t listener = 0; // acceptor
  std::uint8_t deflate_bits = 0; // message_compression: the window that this end may refer to, 8 to 15; 0: not negotiated
  std::uint16_t close_code = 1006; // websocket_side, closer, stopper, tls_layer: what on_close will say
  std::uint8_t untold = 0; // handlers: what its user is still to be told, bits of user_event

  std::uint32_t gather = no_gather; // outbox: its record in the outbox's turn
  std::uint32_t last_heard_ms = 0; // input_flow, shard, connection_watch: when it sent bytes, or took some that had waited

  std::unique_ptr<partial_input> partial; // input_flow; its head and text by who reads them: http_side, connector, websocket_side
  message_assembler assembler; // websocket_side, and memory_ledger when it ends
  // tls_layer, message_compression, outbox: null unless encrypted, or compressing with contexts
  std::unique_ptr<connection_layers, delete_connection_layers> layers;
  backlog* behind = nullptr; // outbox: output that did not go out in its turn
  membership* memberships = nullptr; // room_table
  const websocket_endpoint* endpoint = nullptr; // upgrader, connector, stopper
  void* user = nullptr; // upgrader, connector; the endpoint's
  timer_node timer; // by connection_timers

  static constexpr std::uint32_t no_gather = UINT32_MAX;

  // More is to come of a frame, of a request, or of a message in fragments.
  [[nodiscard]] bool has_part_of_message() const { return (partial != nullptr && partial->wanted > partial->size) || assembler.is_inside_message(); }
  // An event stream is open in the same sense.
  [[nodiscard]] bool is_open_websocket() const { return phase == connection_phase::websocket && closing.state() == close_state::open; }
};

// 20,000 idle connections are what this multiplies.
static_assert(sizeof(connection) <= 128);

// What is known of each connection for those who ask (server::connections()), beside its two cache lines.
struct connection_times {
  std::uint32_t opened_s = 0; // when it was accepted, in seconds of the shard's clock
  std::uint32_t pong_s = 0; // when its last Pong frame came; 0: none has
};
struct connection_traffic {
  std::uint64_t messages_in = 0;
  std::uint64_t messages_out = 0; // to it alone; those of rooms see membership::messages_sent()
};

// The slots of a shard's connections, in slabs that never move.
class connection_table {
 public:
  static constexpr std::uint32_t slab_connections = 128;

  [[nodiscard]] connection& take() {
    if (free_.empty()) grow();
    connection& c = at(free_.back());
    free_.pop_back();
    ++used_;
    return c;
  }
  void give_back(connection& c) {
    const std::uint32_t slot = c.slot;
    std::uint32_t generation = (c.generation + 1) & op_tag::generation_mask;
    if (generation == 0) generation = 1;
    c.~connection();
    new (&c) connection;
    c.slot = slot;
    c.generation = generation;
    times_of(c) = {};
    if (traffic_[slot / slab_connections] != nullptr) traffic_of(c) = {};
    free_.push_back(slot);
    --used_;
  }
  [[nodiscard]] connection& at(std::uint32_t slot) { return slabs_[slot / slab_connections][slot % slab_connections]; }
  // The connection, or null if that life of the slot is over.
  [[nodiscard]] connection* find(std::uint32_t slot, std::uint32_t generation) {
    if (slot >= slabs_.size() * slab_connections) return nullptr;
    connection& c = at(slot);
    return c.phase != connection_phase::free && c.generation == generation ? &c : nullptr;
  }
  [[nodiscard]] std::uint32_t used() const { return used_; }
  // Every slot that there is, also those that are free now.
  [[nodiscard]] std::uint32_t slots() const { return static_cast<std::uint32_t>(slabs_.size() * slab_connections); }

  [[nodiscard]] connection_times& times_of(const connection& c) { return times_[c.slot / slab_connections][c.slot % slab_connections]; }
  [[nodiscard]] connection_traffic& traffic_of(const connection& c) {
    auto& of_slab = traffic_[c.slot / slab_connections];
    if (of_slab == nullptr) [[unlikely]]
      of_slab.reset(new (std::nothrow) slab_traffic);
    return of_slab != nullptr ? (*of_slab)[c.slot % slab_connections] : not_counted_;
  }
  // Without a place for it: nobody in its slab has said or heard a word.
  [[nodiscard]] connection_traffic known_traffic_of(const connection& c) const {
    const auto& of_slab = traffic_[c.slot / slab_connections];
    return of_slab != nullptr ? (*of_slab)[c.slot % slab_connections] : connection_traffic{};
  }
  template <class F> void for_each(F&& visit) {
    for (auto& slab : slabs_)
      for (std::uint32_t i = 0; i < slab_connections; ++i)
        if (slab[i].phase != connection_phase::free) visit(slab[i]);
  }

 private:
  void grow() {
    const auto first = static_cast<std::uint32_t>(slabs_.size() * slab_connections);
    slabs_.emplace_back(slab_connections);
    times_.emplace_back(slab_connections);
    traffic_.emplace_back();
    for (std::uint32_t i = slab_connections; i-- > 0;) {
      slabs_.back()[i].slot = first + i;
      free_.push_back(first + i);
    }
  }

  // Each is allocated once, at its full size. A vector, because new[] would keep a count in front of the array, and those 8 bytes push the slab
  // into the allocator's next size: 16 bytes more for each connection.
  std::vector<std::vector<connection>> slabs_;
  std::vector<std::vector<connection_times>> times_;
  // Each is made when the first of its connections says or hears something, once for 128 of them: who is only there has none.
  using slab_traffic = std::array<connection_traffic, slab_connections>;
  std::vector<std::unique_ptr<slab_traffic>> traffic_;
  connection_traffic not_counted_; // where there is no memory for one
  std::vector<std::uint32_t> free_;
  std::uint32_t used_ = 0;
};

} // namespace ringcast::engine
