#include "engine/shard/server_questions.hpp"

#include "engine/room/records.hpp"
#include "engine/shard/shard.hpp"

#include <memory>
#include <utility>

namespace ringcast::engine {

void server_questions::statistics(std::function<void(const server_statistics&)> on_answer, const std::source_location& where) {
  const std::uint32_t id = ++next_id_;
  statistics_question asked{std::move(on_answer), with_.users.running(), where, {}, with_.shard_count};
  asked.told.shards.resize(with_.shard_count);
  statistics_.try_emplace(id, std::move(asked));
  for (std::uint32_t to = 0; to < with_.shard_count; ++to)
    run_on(with_.courier, to, [id, reporter = with_.own](shard& there) {
      run_on(there, reporter, [id, from = there.index(), told = there.statistics()](shard& here) { here.asked().on_statistics(id, from, told); });
    });
}

void server_questions::on_statistics(std::uint32_t id, std::uint32_t from, const shard_statistics& told) {
  const auto found = statistics_.find(id);
  if (found == statistics_.end()) return;
  found->second.told.shards[from] = told;
  if (--found->second.left > 0) return;
  auto finished = statistics_.extract(found);
  statistics_question& asked = finished.mapped();
  with_.users.note_answer([answer = std::move(asked.answer), told = std::move(asked.told)] { answer(told); }, asked.by, asked.where);
}

void run_on(shard_courier& courier, std::uint32_t index, std::function<void(shard&)> work) {
  auto boxed = std::make_unique<std::function<void(shard&)>>(std::move(work));
  courier.deliver(index, record_kind::run, bytes_of(run_message{boxed.release()}), {});
}

} // namespace ringcast::engine
