// What a server counts, and what it holds now: see server::statistics(). Plain values, each shard's as they were in the turn of its loop in which it
// was asked, so the shards are not of one moment. Numbers of what has happened only grow, as long as the server lives. The client role is
// counted where a field says so.
//
// Counting costs a member of a room nothing: what a turn sends to a room is counted once for all members that keep up.
#pragma once

#include <ringcast/server_limits.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace ringcast {

// How often something took how long. Log-linear: four buckets to each power of two, so a value is known to within a quarter of it; two of them add up
// to the one that had seen both.
class duration_histogram {
 public:
  static constexpr unsigned first_power = 10; // the first bucket ends at 1,024 ns, less than a system call takes
  static constexpr unsigned end_power = 34; // the last but one at 17 s, longer than anything that is measured may take
  static constexpr std::size_t bucket_count = 2 + std::size_t{end_power - first_power} * 4;

  void record(std::uint64_t ns, std::uint64_t times = 1) {
    counts_[bucket_of(ns)] += times;
    count_ += times;
    sum_ns_ += ns * times;
  }
  void add(const duration_histogram& other);

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::uint64_t sum_ns() const { return sum_ns_; }
  [[nodiscard]] std::uint64_t count_of(std::size_t bucket) const { return counts_[bucket]; }
  // The largest value that the bucket takes; UINT64_MAX of the last one.
  [[nodiscard]] static std::uint64_t end_ns(std::size_t bucket);
  // The end of the bucket that has the value at this share (0.99 for p99); 0 if nothing was recorded.
  [[nodiscard]] std::uint64_t quantile_ns(double share) const;

 private:
  // A bucket takes what is larger than the end of the one before, and at most its own end.
  static std::size_t bucket_of(std::uint64_t ns) {
    const std::uint64_t below = ns - (ns > 0 ? 1 : 0);
    if (below >> first_power == 0) return 0;
    const unsigned power = static_cast<unsigned>(std::bit_width(below)) - 1;
    if (power >= end_power) return bucket_count - 1;
    return 1 + std::size_t{power - first_power} * 4 + ((below >> (power - 2)) & 3);
  }

  std::array<std::uint64_t, bucket_count> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t sum_ns_ = 0;
};

// Why somebody was not served.
enum class refusal : std::uint8_t {
  server_full, // server_options::max_connections
  address_full, // server_options::max_connections_per_ip
  going_away, // the server stops
  no_descriptors, // or no memory in the kernel
  tls_handshakes, // too many were in progress, or waited to begin
  bad_request, // not HTTP, or beyond a limit of its head or body
  bad_handshake, // an upgrade that RFC 6455 4.2.1 does not allow
  origin, // allowed_origins
  endpoint, // on_upgrade said no
  name_taken, // in the room
  no_memory,
  connection_rate, // server_options::new_connections_per_ip
  message_rate, // rate_limits::messages or bytes: closed with 1008
  join_rate, // rate_limits::joins
  not_a_proxy, // of a listener that is for them (proxy_options::protocol)
  proxy_header, // of a proxy: there was none, or a bad one
  host, // admin_hosts
  room_full, // room_rules::members_max
  room_rate, // room_rules::messages: once for each message
  no_engine, // of the cluster that the room is of
};
inline constexpr std::size_t refusal_count = static_cast<std::size_t>(refusal::no_engine) + 1;
// "server_full" and so on.
[[nodiscard]] std::string_view name_of(refusal why);

// Close codes are counted in 18 places: those of RFC 6455 7.4.1 each by itself, and those of libraries and of programs together, because peers choose
// among thousands of them.
inline constexpr std::size_t close_code_places = 18;
[[nodiscard]] constexpr std::size_t close_code_place(std::uint16_t code) {
  return code >= 4000 ? 17 : code >= 1016 || code < 1000 ? 16 : code - 1000u;
}
// "1000" to "1015", "3xxx" (and the few that have no meaning), "4xxx".
[[nodiscard]] std::string_view name_of_close_code_place(std::size_t place);

// The rules of RFC 6455 and RFC 7692 that a peer can break behind the handshake.
inline constexpr std::size_t protocol_rules = 19;
// "reserved_bit_set" and so on.
[[nodiscard]] std::string_view name_of_protocol_rule(std::size_t rule);

// Of one shard, or of several together.
struct shard_statistics {
  // --- connections that were accepted: how many there are now ---
  std::uint64_t http_connections = 0; // and those whose TLS or WebSocket handshake is under way
  std::uint64_t websocket_connections = 0;
  std::uint64_t ending_connections = 0; // the last bytes are on their way, or the peer's end is awaited
  std::uint64_t client_connections = 0; // of the client role

  // --- what became of them ---
  std::uint64_t accepted = 0; // connections
  std::uint64_t handshakes = 0; // upgrades that were answered with 101
  std::array<std::uint64_t, refusal_count> refusals{};
  std::array<std::uint64_t, 5> responses{}; // HTTP answers by class, from 1xx on; without those with 101
  std::array<std::uint64_t, close_code_places> closes{}; // WebSockets that are over, by the code that on_close() is given
  std::array<std::uint64_t, protocol_rules> violations{}; // also of servers, in the client role
  std::uint64_t members_closed_slow = 0; // slow_consumer::close
  std::uint64_t ended_for_memory = 0; // server_options::memory_bytes
  std::uint64_t resets = 0; // had not taken what was sent to them when their grace ended
  std::uint64_t allocations_failed = 0;
  std::uint64_t callbacks_failed = 0; // threw

  // --- what went through, both roles ---
  std::uint64_t bytes_received = 0; // as TCP has them, so encrypted where TLS is spoken
  std::uint64_t bytes_sent = 0; // that TCP has taken
  std::uint64_t messages_received = 0;
  std::uint64_t messages_sent = 0; // to one connection; of rooms see deliveries
  std::uint64_t inputs_stopped = 0; // a peer's input had to wait: it used up its share of a turn, or does not take its answers
  std::uint64_t inputs_paused_for_rate = 0; // over_rate::push_back
  std::uint64_t messages_dropped_for_rate = 0; // over_rate::drop
  std::uint64_t sent_to_nobody = 0; // messages of other threads and rooms for connections that had gone

  // --- rooms ---
  std::uint64_t rooms = 0; // whose home is this shard
  std::uint64_t deliveries = 0; // messages times the members that they were queued for
  // What slow-consumer policies took from members, by policy: of what was queued, or before it was.
  std::array<std::uint64_t, slow_consumer_policies> messages_lost{};
  std::uint64_t gaps = 0; // what members were told of that
  std::uint64_t history_bytes = 0, history_bytes_max = 0;

  // --- what orders rooms of the cluster (server_options::cluster); without a cluster all are 0 ---
  std::uint64_t cluster_links = 0, cluster_links_up = 0; // shards that need it, and those that can reach it now
  std::uint64_t cluster_losses = 0; // how often it could not be reached any more
  std::uint64_t cluster_commands = 0; // questions to it, and what was published: all that rooms say in a turn is one for each of them
  std::uint64_t cluster_gaps = 0; // of rooms: it did not have any more what was missing here
  std::uint64_t cluster_resets = 0; // of rooms that count anew

  // --- TLS and permessage-deflate ---
  std::uint64_t tls_handshakes_full = 0, tls_handshakes_resumed = 0; // of accepted connections
  std::uint64_t tls_failures = 0;
  std::uint64_t messages_deflated = 0; // a broadcast counts once
  std::uint64_t messages_not_smaller = 0; // tried, and sent as they were
  std::uint64_t deflate_bytes_in = 0, deflate_bytes_out = 0;
  std::uint64_t messages_inflated = 0;
  std::uint64_t inflate_bytes_in = 0, inflate_bytes_out = 0;

  // --- the loop, and what is held ---
  std::uint64_t turns = 0;
  duration_histogram turn_times; // of turns that found something to do: from what was received to what is handed to the kernel
  duration_histogram receive_to_send; // the same, once for each message that was received in that turn; a hop to another shard comes on top
  std::uint64_t receive_buffers = 0, receive_buffers_free = 0;
  std::uint64_t receives_parked = 0; // found no free buffer, and waited for one
  std::uint64_t lane_bytes_waiting = 0; // for room in the lanes to other shards
  std::uint64_t turns_held_by_overflow = 0; // took no input before less waited
  std::uint64_t held_bytes = 0, held_bytes_max = 0; // for peers, see server_options::memory_bytes

  [[nodiscard]] std::uint64_t refused(refusal why) const { return refusals[static_cast<std::size_t>(why)]; }
  [[nodiscard]] std::uint64_t closed_with(std::uint16_t code) const { return closes[close_code_place(code)]; }
  void add(const shard_statistics& other);
};

struct server_statistics {
  std::vector<shard_statistics> shards; // by their index

  [[nodiscard]] shard_statistics total() const;
};

} // namespace ringcast
