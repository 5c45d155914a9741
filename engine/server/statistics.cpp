// What a server tells of what it counts: the words, the sums, and the question.
#include <ringcast/statistics.hpp>

#include "engine/server/answers.hpp"
#include "proto/violation.hpp"
#include <ringcast/server.hpp>

#include <cmath>
#include <memory>
#include <utility>

namespace ringcast {

using namespace engine;

// --- histograms ---

void duration_histogram::add(const duration_histogram& other) {
  for (std::size_t i = 0; i < bucket_count; ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  sum_ns_ += other.sum_ns_;
}

std::uint64_t duration_histogram::end_ns(std::size_t bucket) {
  if (bucket == 0) return std::uint64_t{1} << first_power;
  if (bucket >= bucket_count - 1) return UINT64_MAX;
  const std::size_t power = first_power + (bucket - 1) / 4;
  return (4 + (bucket - 1) % 4 + 1) << (power - 2);
}

std::uint64_t duration_histogram::quantile_ns(double share) const {
  const auto wanted = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_)));
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket < bucket_count; ++bucket) {
    seen += counts_[bucket];
    if (seen >= wanted && seen > 0) return end_ns(bucket);
  }
  return 0;
}

// --- words ---

std::string_view name_of(refusal why) {
  static constexpr std::array<std::string_view, refusal_count> names{
      "server_full", "address_full", "going_away", "no_descriptors", "tls_handshakes",  "bad_request",  "bad_handshake",
      "origin",      "endpoint",     "name_taken", "no_memory",      "connection_rate", "message_rate", "join_rate",
      "not_a_proxy", "proxy_header", "host",       "room_full",      "room_rate",       "no_engine"};
  return names[static_cast<std::size_t>(why)];
}

std::string_view name_of_close_code_place(std::size_t place) {
  static constexpr std::array<std::string_view, close_code_places> names{"1000", "1001", "1002", "1003", "1004", "1005", "1006", "1007", "1008",
                                                                         "1009", "1010", "1011", "1012", "1013", "1014", "1015", "3xxx", "4xxx"};
  return names[place];
}

static_assert(protocol_rules == violation_count - 1); // all but `none`

std::string_view name_of_protocol_rule(std::size_t rule) {
  static constexpr std::array<std::string_view, protocol_rules> names{
      "reserved_bit_set",        "reserved_opcode",          "unmasked_client_frame",    "masked_server_frame",
      "length_not_minimal",      "length_high_bit_set",      "control_frame_too_long",   "control_frame_fragmented",
      "unexpected_continuation", "message_inside_fragments", "compressed_control_frame", "compressed_continuation",
      "text_not_utf8",           "message_too_big",          "compressed_data_invalid",  "close_payload_of_one_byte",
      "close_code_not_sendable", "close_reason_not_utf8",    "data_after_close"};
  return names[rule];
}

// --- sums ---

namespace {

template <std::size_t N> void add_each(std::array<std::uint64_t, N>& to, const std::array<std::uint64_t, N>& more) {
  for (std::size_t i = 0; i < N; ++i) to[i] += more[i];
}

} // namespace

void shard_statistics::add(const shard_statistics& other) {
  // Each number by its name, so that none is added to another.
  static constexpr std::uint64_t shard_statistics::* numbers[] = {
      &shard_statistics::http_connections,
      &shard_statistics::websocket_connections,
      &shard_statistics::ending_connections,
      &shard_statistics::client_connections,
      &shard_statistics::accepted,
      &shard_statistics::handshakes,
      &shard_statistics::members_closed_slow,
      &shard_statistics::ended_for_memory,
      &shard_statistics::resets,
      &shard_statistics::allocations_failed,
      &shard_statistics::callbacks_failed,
      &shard_statistics::bytes_received,
      &shard_statistics::bytes_sent,
      &shard_statistics::messages_received,
      &shard_statistics::messages_sent,
      &shard_statistics::inputs_stopped,
      &shard_statistics::inputs_paused_for_rate,
      &shard_statistics::messages_dropped_for_rate,
      &shard_statistics::sent_to_nobody,
      &shard_statistics::rooms,
      &shard_statistics::deliveries,
      &shard_statistics::gaps,
      &shard_statistics::history_bytes,
      &shard_statistics::history_bytes_max,
      &shard_statistics::cluster_links,
      &shard_statistics::cluster_links_up,
      &shard_statistics::cluster_losses,
      &shard_statistics::cluster_commands,
      &shard_statistics::cluster_gaps,
      &shard_statistics::cluster_resets,
      &shard_statistics::tls_handshakes_full,
      &shard_statistics::tls_handshakes_resumed,
      &shard_statistics::tls_failures,
      &shard_statistics::messages_deflated,
      &shard_statistics::messages_not_smaller,
      &shard_statistics::deflate_bytes_in,
      &shard_statistics::deflate_bytes_out,
      &shard_statistics::messages_inflated,
      &shard_statistics::inflate_bytes_in,
      &shard_statistics::inflate_bytes_out,
      &shard_statistics::turns,
      &shard_statistics::receive_buffers,
      &shard_statistics::receive_buffers_free,
      &shard_statistics::receives_parked,
      &shard_statistics::lane_bytes_waiting,
      &shard_statistics::turns_held_by_overflow,
      &shard_statistics::held_bytes,
      &shard_statistics::held_bytes_max,
  };
  for (const auto number : numbers) this->*number += other.*number;
  add_each(messages_lost, other.messages_lost);
  add_each(refusals, other.refusals);
  add_each(responses, other.responses);
  add_each(closes, other.closes);
  add_each(violations, other.violations);
  turn_times.add(other.turn_times);
  receive_to_send.add(other.receive_to_send);
}

shard_statistics server_statistics::total() const {
  shard_statistics sum;
  for (const shard_statistics& each : shards) sum.add(each);
  return sum;
}

// --- the question ---

task<server_statistics> server::statistics() {
  answer_awaiter<server_statistics> answer;
  asking_shard().asked().statistics([state = answer.target()](const server_statistics& told) { state->set(told); });
  co_return co_await answer;
}

std::future<server_statistics> server::statistics_future() {
  return ask_shard<server_statistics>(*this, 0, [](shard& there, const auto& promise) {
    there.asked().statistics([promise](const server_statistics& told) { promise->set_value(told); });
  });
}

void server::statistics(std::function<void(const server_statistics&)> on_answer, const std::source_location& where) {
  asking_shard().asked().statistics(std::move(on_answer), where);
}

} // namespace ringcast
