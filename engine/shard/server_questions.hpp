// Questions to all shards of a server at once. The shard that is asked sends the others a function, and each sends its answer back as another
// one (record_kind::run). One a shard, on its thread.
#pragma once

#include "engine/room/room_home.hpp"
#include "engine/shard/handlers.hpp"
#include <ringcast/statistics.hpp>

#include <cstdint>
#include <functional>
#include <source_location>
#include <unordered_map>

namespace ringcast::engine {

class shard;

// Runs it on that shard, on its thread.
void run_on(shard_courier& courier, std::uint32_t index, std::function<void(shard&)> work);

class server_questions {
 public:
  struct needs {
    std::uint32_t own; // the index of this shard
    std::uint32_t shard_count;
    shard_courier& courier;
    handlers& users;
  };
  explicit server_questions(const needs& with) : with_(with) {}

  // What each shard has counted; the answer comes among the callbacks of a turn. No shard does more for it than copy its own counters.
  void statistics(std::function<void(const server_statistics&)> on_answer, const std::source_location& where = std::source_location::current());

 private:
  struct statistics_question {
    std::function<void(const server_statistics&)> answer;
    connection_handle by; // whose handler asked
    std::source_location where;
    server_statistics told;
    std::uint32_t left; // shards that have not answered
  };

  void on_statistics(std::uint32_t id, std::uint32_t from, const shard_statistics& told);

  const needs with_;
  std::unordered_map<std::uint32_t, statistics_question> statistics_;
  std::uint32_t next_id_ = 0;
};

} // namespace ringcast::engine
