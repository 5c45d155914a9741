// HTTP/1.1 of a shard: requests one after the other on a connection, and their answers. One a shard, on its thread.
#pragma once

#include "engine/connection/connection.hpp"
#include "engine/room/outbox.hpp"
#include "engine/shard/connection_timers.hpp"
#include "engine/shard/consumed.hpp"
#include "engine/shard/handlers.hpp"
#include "engine/shard/http_router.hpp"
#include "engine/shard/input_share.hpp"
#include "engine/shard/shard_counters.hpp"
#include "engine/shard/shard_options.hpp"
#include "engine/shard/stop_state.hpp"
#include "engine/shard/turn_budget.hpp"
#include "engine/shard/turn_clock.hpp"
#include "proto/http_head.hpp"
#include <ringcast/detail/waiter.hpp>

#include <cstddef>
#include <span>
#include <string_view>
#include <unordered_map>

namespace ringcast::engine {

class access_book;
class acceptor;
class closer;
class input_flow;
class peer_book;
class upgrader;

// "Date: ...\r\n", made anew once a second (RFC 9110 6.6.1).
[[nodiscard]] std::string_view date_line(std::uint64_t now_ms);

class http_side {
 public:
  struct needs {
    const shard_options& options;
    const http_router& router;
    const acceptor& accepting;
    const peer_book& peers;
    turn_budget& budget;
    const input_share& share;
    connection_timers& timers;
    outbox& output;
    handlers& users;
    upgrader& upgrades;
    input_flow& input;
    closer& closing;
    const stop_state& stop;
    const turn_clock& clock;
    access_book& access;
    shard_counters& counters;
  };
  explicit http_side(const needs& with) : with_(with) {}

  [[nodiscard]] consumed consume_http(connection& c, std::span<std::byte> bytes);
  // Nothing happens unless an answer is being prepared.
  void respond(connection& c, http_status status, std::string_view content_type, std::string_view body, std::string_view extra_headers = {});
  void respond_error(connection& c, http_status status, std::string_view why);
  // An answer in pieces: http_pieces.cpp. `chunked` where the peer speaks HTTP/1.1, else the body ends with the connection. False if there is nothing to
  // be answered.
  bool begin_pieces(connection& c, http_status status, std::string_view content_type, std::string_view extra_headers, bool chunked);
  [[nodiscard]] bool is_writing_pieces(const connection& c) const { return !pieces_.empty() && pieces_.contains(c.slot); }
  void write_piece(connection& c, std::span<const std::byte> piece);
  void finish_pieces(connection& c);
  // The body will not be whole: the connection ends without its end.
  void abandon_pieces(connection& c);
  // Who waits is told when the peer has taken most of what waits for it, or is gone.
  void await_output(connection& c, waiter& waits) { pieces_.at(c.slot).waiting.append(waits); }
  [[nodiscard]] bool is_awaiting_output(const connection& c) const { return is_writing_pieces(c) && !pieces_.at(c.slot).waiting.empty(); }
  void on_output_progress(connection& c);
  // The connection has ended.
  void forget(const connection& c);
  // An answer whether one was asked for or not, and the end.
  void refuse_request(connection& c, http_status status, std::string_view why);
  // 429 (RFC 6585 4), and when it may come again.
  void refuse_for_now(connection& c, std::string_view why, std::uint32_t retry_after_s);
  // The connection ends with the answer that is being prepared.
  void close_after_answer(connection& c) { c.keep_alive = false; }
  // Its handler threw. What it may have left to be answered later must not answer another request, so the connection ends behind this.
  void fail_request(connection& c);

 private:
  [[nodiscard]] consumed consume_chunked(connection& c, std::span<std::byte> bytes);
  void on_request(connection& c, const request_head& head, std::span<const std::byte> body);
  [[nodiscard]] bool is_refused_by_its_head(const connection& c, const request_head& head) const;
  // Whether it is for a listener by a name that the listener does not have.
  [[nodiscard]] bool is_misdirected(const connection& c, const request_head& head) const;
  void send_continue(connection& c);
  void count_response(http_status status);

  void end_answer(connection& c);

  struct body_in_pieces {
    explicit body_in_pieces(bool in_chunks) : chunked(in_chunks) {}
    bool chunked;
    waiter_queue waiting{};
  };

  const needs with_;
  std::unordered_map<std::uint32_t, body_in_pieces> pieces_; // by slot
  request_head head_; // of the request that is being handled; 2 KiB, so not made anew for each
};

} // namespace ringcast::engine
