// Closing connections from outside: each shard closes its own, some in each turn.
#include <ringcast/closing.hpp>

#include "engine/server/answers.hpp"
#include "engine/shard/closer.hpp"
#include "engine/shard/server_questions.hpp"
#include "engine/shard/websocket_side.hpp"
#include <ringcast/close_code.hpp>
#include <ringcast/names.hpp>
#include <ringcast/server.hpp>
#include <ringcast/sleep.hpp>
#include <ringcast/spawn.hpp>

#include <chrono>
#include <memory>
#include <utility>

namespace ringcast {

using namespace engine;

namespace {

// Each is a frame, a send and a callback, about 5 us together, so these hold a turn up for about 0.3 ms.
constexpr std::uint32_t closes_per_turn_max = 64;

struct close_words {
  std::uint16_t code;
  std::string reason;
};

// Whether it was still to be closed.
bool close_one(shard& here, connection_handle who, const close_words& with) {
  connection* const c = here.find(who);
  if (c == nullptr || c->is_client) return false;
  if (c->is_open_websocket()) {
    here.websockets().close(*c, with.code, with.reason);
    return true;
  }
  if (c->phase != connection_phase::http) return false;
  here.closing().end(*c, static_cast<std::uint16_t>(close_code::abnormal), with.reason);
  return true;
}

// What all shards have closed, and who waits for it. Only the asking shard looks into it.
struct sum_of_closed {
  std::shared_ptr<answer_awaiter<std::uint64_t>::state> waiting;
  std::uint64_t closed = 0;
  std::uint32_t left = 0; // shards
};

task<void> close_here(shard& here, std::vector<connection_handle> which, close_words with, std::uint32_t reporter,
                      std::shared_ptr<sum_of_closed> sum) {
  std::uint64_t closed = 0;
  std::uint32_t in_turn = 0;
  for (const connection_handle who : which) {
    if (in_turn++ == closes_per_turn_max) {
      in_turn = 1;
      if (co_await sleep_for(std::chrono::milliseconds{1}) == sleep_result::stopped) co_return;
    }
    closed += close_one(here, who, with) ? 1 : 0;
  }
  run_on(here, reporter, [sum = std::move(sum), closed](shard&) {
    sum->closed += closed;
    if (--sum->left == 0) sum->waiting->set(sum->closed);
  });
}

task<void> keep_promise(task<std::uint64_t> work, std::shared_ptr<std::promise<std::uint64_t>> promise) {
  promise->set_value(co_await std::move(work));
}

task<void> tell(task<std::uint64_t> work, std::function<void(std::uint64_t)> on_answer, connection_handle by, std::source_location where) {
  const std::uint64_t closed = co_await std::move(work);
  asking_shard().user_code().note_answer([on_answer = std::move(on_answer), closed] { on_answer(closed); }, by, where);
}

} // namespace

task<std::uint64_t> close_connections(server& of, std::vector<connection_handle> which, std::uint16_t code, std::string reason) {
  shard& here = asking_shard();
  std::vector<std::vector<connection_handle>> by_shard(of.shard_count());
  for (const connection_handle who : which)
    if (who.shard() < by_shard.size()) by_shard[who.shard()].push_back(who);
  answer_awaiter<std::uint64_t> answer;
  const auto sum = std::make_shared<sum_of_closed>(answer.target());
  for (const auto& list : by_shard) sum->left += list.empty() ? 0 : 1;
  if (sum->left == 0) co_return 0;
  for (std::uint32_t to = 0; to < by_shard.size(); ++to)
    if (!by_shard[to].empty())
      run_on(here, to, [list = std::move(by_shard[to]), with = close_words{code, reason}, reporter = here.index(), sum](shard& there) {
        (void)spawn(close_here(there, list, with, reporter, sum));
      });
  co_return co_await answer;
}

// The oldest first, so that nobody who comes meanwhile moves the pages.
task<std::uint64_t> close_room(server& of, std::string room, std::uint16_t code, std::string reason) {
  if (!check_room_name(room)) co_return 0; // an empty one would be everybody
  connection_query query{.order = connection_order::age, .room = std::move(room), .limit = connection_page_max};
  std::vector<connection_handle> members;
  do {
    const connection_page page = co_await of.connections(query);
    for (const connection_summary& each : page.connections) members.push_back(each.id);
    query.after = page.next;
  } while (query.after);
  co_return co_await close_connections(of, std::move(members), code, std::move(reason));
}

std::future<std::uint64_t> close_connections_future(server& of, std::vector<connection_handle> which, std::uint16_t code, std::string reason) {
  return ask_shard<std::uint64_t>(of, 0, [&of, which = std::move(which), code, reason = std::move(reason)](shard&, const auto& promise) {
    (void)spawn(keep_promise(close_connections(of, which, code, reason), promise));
  });
}

std::future<std::uint64_t> close_room_future(server& of, std::string room, std::uint16_t code, std::string reason) {
  return ask_shard<std::uint64_t>(of, 0, [&of, room = std::move(room), code, reason = std::move(reason)](shard&, const auto& promise) {
    (void)spawn(keep_promise(close_room(of, room, code, reason), promise));
  });
}

void close_connections(server& of, std::vector<connection_handle> which, std::uint16_t code, std::string reason,
                       std::function<void(std::uint64_t)> on_answer, const std::source_location& where) {
  (void)spawn(
      tell(close_connections(of, std::move(which), code, std::move(reason)), std::move(on_answer), asking_shard().user_code().running(), where));
}

void close_room(server& of, std::string room, std::uint16_t code, std::string reason, std::function<void(std::uint64_t)> on_answer,
                const std::source_location& where) {
  (void)spawn(tell(close_room(of, std::move(room), code, std::move(reason)), std::move(on_answer), asking_shard().user_code().running(), where));
}

} // namespace ringcast
