// Who is connected, asked of all shards (server::connections()). The shard that is asked sends the question to all, each walks over its connections and
// sends back the first of them, and the answers become one page. One a shard, on its thread.
//
// A shard may have a hundred thousand connections and must not stand still for a question: it looks at connections_per_turn_max of them in a turn, then
// describes descriptions_per_turn_max of those that it has chosen in each of the next turns. Questions wait for each other.
#pragma once

#include "engine/connection/shard_connections.hpp"
#include "engine/room/outbox.hpp"
#include "engine/shard/handlers.hpp"
#include "engine/shard/turn_clock.hpp"
#include <ringcast/connections.hpp>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <source_location>
#include <unordered_map>
#include <vector>

namespace ringcast::engine {

class peer_book;
class shard;

class connection_questions {
 public:
  // Slots, taken or free. One costs at most some cache misses, so these take about 0.1 ms.
  static constexpr std::uint32_t connections_per_turn_max = 512;
  // Each is three system calls and some strings, about 3 us.
  static constexpr std::uint32_t descriptions_per_turn_max = 64;

  struct needs {
    std::uint32_t own; // the index of this shard
    std::uint32_t shard_count;
    shard_courier& courier;
    handlers& users;
    shard_connections& connections;
    const peer_book& peers;
    outbox& output;
    const turn_clock& clock;
  };
  explicit connection_questions(const needs& with) : with_(with) {}

  // The answer comes among the callbacks of a turn.
  void ask(connection_query query, std::function<void(const connection_page&)> on_answer,
           const std::source_location& where = std::source_location::current());

  // --- a step of a turn ---
  void go_on();
  [[nodiscard]] bool has_work() const { return !walks_.empty(); }

  // Slots that were looked at, and connections that were described, since the shard began.
  [[nodiscard]] std::uint64_t looked_at() const { return looked_at_; }
  [[nodiscard]] std::uint64_t described() const { return described_; }

 private:
  // What a shard has found, or what all have found so far: in order, at most a page of them.
  struct found_connection {
    connection_place place;
    std::unique_ptr<connection_summary> summary; // null: it has gone meanwhile
  };
  struct findings {
    std::vector<found_connection> first;
    std::uint64_t total = 0;
    std::uint64_t behind_place = 0; // of these, those behind connection_query::after
  };
  // Of a question of this shard or another.
  struct walk {
    std::uint32_t reporter;
    std::uint32_t id;
    std::shared_ptr<const connection_query> query;
    findings found{};
    std::uint32_t slot = 0; // to be looked at next
    bool chosen = false; // all have been looked at; slots that are new since then have only connections that came later
    std::size_t described = 0; // of those that were found
  };
  struct question {
    std::function<void(const connection_page&)> answer;
    connection_handle by; // whose handler asked
    std::source_location where;
    std::shared_ptr<const connection_query> query;
    findings sum{};
    std::uint32_t left; // shards that have not answered
  };

  void begin(walk asked);
  void look_at_some(walk& w);
  void look_at(walk& w, const connection& c);
  void describe_some(walk& w);
  void report(walk done);
  void on_found(std::uint32_t id, findings& found);

  [[nodiscard]] static bool matches(const connection_query& query, const connection& c);
  [[nodiscard]] std::uint64_t key_of(connection_order order, const connection& c) const;
  [[nodiscard]] std::uint64_t messages_out(const connection& c) const;
  [[nodiscard]] std::unique_ptr<connection_summary> describe(const connection& c) const;

  const needs with_;
  std::deque<walk> walks_;
  std::unordered_map<std::uint32_t, question> questions_;
  std::uint32_t next_id_ = 0;
  std::uint64_t looked_at_ = 0;
  std::uint64_t described_ = 0;
};

} // namespace ringcast::engine
