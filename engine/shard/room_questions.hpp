// Questions about rooms: what became of a publication on every shard, who is in a room, which rooms there are. A shard asks the rooms'
// homes, and answers for the rooms whose home it is. One a shard, on its thread. What shards ask each other are records (records.hpp).
#pragma once

#include "engine/room/room_home.hpp"
#include "engine/room/room_table.hpp"
#include "engine/shard/handlers.hpp"
#include "engine/shard/stop_state.hpp"

#include <cstdint>
#include <functional>
#include <source_location>
#include <span>
#include <string_view>
#include <unordered_map>

namespace ringcast::engine {

class room_questions {
 public:
  struct needs {
    std::uint32_t own; // the index of this shard
    std::uint32_t shard_count;
    std::uint32_t record_bytes_max;
    shard_courier& courier;
    room_table& rooms;
    home_table& home;
    handlers& users;
    const stop_state& stop;
  };
  explicit room_questions(const needs& with) : with_(with) {}

  // --- asked here; the answer comes among the callbacks of a turn ---
  // Publishes and calls back with what became of it on every shard.
  void publish_with_report(std::string_view room_name, opcode op, std::span<const std::byte> payload,
                           std::function<void(const broadcast_report&)> on_report,
                           const std::source_location& where = std::source_location::current());
  // Asks the home of one room.
  void query_room(std::string_view room_name, std::function<void(const room_listing&)> on_answer,
                  const std::source_location& where = std::source_location::current());
  // Lists the rooms with members that stand behind `after`, at most `rooms_max` of them: in the order of their home shards, which are asked
  // one after the other, and of one shard in the order of their names. Empty: from the first on.
  void query_rooms(std::string_view after, std::uint32_t rooms_max, std::function<void(const room_listing&)> on_answer,
                   const std::source_location& where = std::source_location::current());

  // What is kept of a room, in the plain encoding; null: there is no such room. The answer waits so long for what is behind the wish.
  void query_history(std::string_view room_name, const replay_wish& wish, std::uint32_t wait_ms, std::function<void(const replay*)> on_answer,
                     const std::source_location& where = std::source_location::current());

  // --- records ---
  void on_report_request(const report_request_record& request);
  void on_report_expect(const report_expect_record& expect);
  void on_report(const report_record& report);
  void on_room_query(const room_query_record& query, std::string_view name);
  void on_history_query(const history_query_record& query, std::string_view room_name);
  void on_history_answer(const history_answer_record& answer);
  void on_room_answer(const room_answer_record& answer, std::string_view text);

 private:
  template <class Answer> struct question {
    std::function<void(const Answer&)> answer;
    connection_handle by; // whose handler asked
    std::source_location where;
  };
  struct pending_report {
    question<broadcast_report> asked;
    broadcast_report sum;
    std::uint32_t expected = UINT32_MAX; // not known yet
    std::uint32_t answered = 0;
  };
  struct pending_query {
    question<room_listing> asked;
    room_listing sum;
    std::uint32_t at = 0;         // of all rooms: the shard that was asked
    std::uint32_t rooms_left = 0; // and how many more are wanted
    bool all = false;
  };
  using reports = std::unordered_map<std::uint32_t, pending_report>;
  using queries = std::unordered_map<std::uint32_t, pending_query>;

  void ask(std::uint32_t home, const room_query_record& query, std::string_view name);
  void answer(const room_query_record& query, const room_answer_record& head, std::string_view text);
  void answer_members(const room_query_record& query, std::string_view room_name);
  void answer_rooms(const room_query_record& query, std::string_view after);
  // Listings have to fit into records between shards.
  [[nodiscard]] bool is_record_full(std::string_view text) const { return text.size() > with_.record_bytes_max / 2; }
  void tell_if_all_answered(reports::iterator of);
  template <class Answer> void tell(question<Answer>&& asked, Answer&& sum);
  [[nodiscard]] std::uint32_t new_id();

  const needs with_;
  reports reports_;
  queries queries_;
  struct history_question {
    std::function<void(const replay*)> answer;
    connection_handle by;
    std::source_location where;
  };
  std::unordered_map<std::uint32_t, history_question> histories_;
  std::uint32_t next_id_ = 0;
};

} // namespace ringcast::engine
