// How fast rooms are said something: what comes faster is refused by their homes, which see all who publish.
#include "engine/base/log.hpp"
#include "engine/base/log_rate.hpp"
#include "engine/room/room_home.hpp"

#include <fmt/format.h>
#include <string>

namespace ringcast::engine {

namespace {

void log_refused_message(const std::string& room, std::uint64_t now_ms) {
  static constinit log_rate rate;
  if (!is_logged(log_level::info)) return;
  if (const auto [may_say, left_out] = rate.ask(now_ms); may_say)
    log_info("refused a message for the room {:?}, which is said more than it may be{}", room,
             left_out == 0 ? "" : fmt::format(" (and {} others before)", left_out));
}

} // namespace

bool home_table::takes_message(home_room& home) {
  const rate_limit& limit = home.rules->messages;
  if (home.rate.has(limit, now_ms_, 1)) {
    home.rate.take(limit, now_ms_, 1);
    return true;
  }
  ++counters_.messages_refused;
  log_refused_message(home.name, now_ms_);
  return false;
}

// Who wants a report gets one; a member hears of it once in a turn, however many its messages were.
void home_table::refuse(std::uint32_t shard, const publish_record& head) {
  if (head.report_id != 0)
    courier_.deliver(shard, record_kind::report_expect,
                     bytes_of(report_expect_record{.report_id = head.report_id, .shards = 0, .position = {}, .too_fast = true}), {});
  if (head.author != 0) ++refused_[head.author];
}

void home_table::tell_refused() {
  for (const auto& [author, messages] : refused_)
    courier_.deliver(connection_handle{author}.shard(), record_kind::refused, bytes_of(refused_record{author, messages}), {});
  refused_.clear();
}

} // namespace ringcast::engine
