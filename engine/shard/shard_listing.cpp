// Questions about rooms, which their homes answer: who is in one of them, and which there are.
#include "engine/shard/shard.hpp"

#include <utility>

namespace ringcast {

void shard::query_room(std::string_view room_name, std::function<void(const room_listing&)> on_answer, const std::source_location& where) {
  const std::uint32_t id = new_id();
  queries_[id].asked = {std::move(on_answer), handlers_.running(), where};
  const room_query_record query{.reporter = index_, .query_id = id, .rooms_max = 0, .all = false};
  deliver(rooms_.home_of(room_name), record_kind::room_query, bytes_of(query), std::as_bytes(std::span{room_name}));
}

// The rooms of a shard are sorted there, and a name says which shard is its home: so each page costs its own length, wherever it begins,
// and no shard ever walks over all of them.
void shard::query_rooms(std::string_view after, std::uint32_t rooms_max, std::function<void(const room_listing&)> on_answer,
                        const std::source_location& where) {
  const std::uint32_t id = new_id();
  pending_query& pending = queries_[id];
  pending.asked = {std::move(on_answer), handlers_.running(), where};
  pending.all = true;
  pending.rooms_left = rooms_max;
  pending.at = after.empty() ? 0 : rooms_.home_of(after);
  const room_query_record query{.reporter = index_, .query_id = id, .rooms_max = rooms_max, .all = true};
  deliver(pending.at, record_kind::room_query, bytes_of(query), std::as_bytes(std::span{after}));
}

void shard::on_room_query(const room_query_record& query, std::string_view name) {
  room_answer_record answer{.query_id = query.query_id, .last = true, .found = query.all, .more = false, .name_bytes = 0, .members = 0, .rooms = 0};
  std::string text;
  if (!query.all) {
    if (const home_room* room = home_.find(name)) {
      answer.members = room->members();
      answer.found = answer.members > 0;
      for (const auto& [member, handle] : room->names) {
        if (!text.empty()) text += ',';
        append_json_string(text, member);
        // A listing has to fit into a record between shards; beyond it the count still tells the truth.
        if (text.size() > record_bytes_max() / 2) break;
      }
    }
    return deliver(query.reporter, record_kind::room_answer, bytes_of(answer), std::as_bytes(std::span{text}));
  }
  const home_table::list_end end = home_.list(name, query.rooms_max, [&](const home_room& room) {
    if (!text.empty()) text += ',';
    text += "{\"name\":";
    append_json_string(text, room.name);
    text += ",\"members\":" + std::to_string(room.members()) + "}";
    ++answer.rooms;
    if (text.size() <= record_bytes_max() / 2) return;
    answer.last = false;
    deliver(query.reporter, record_kind::room_answer, bytes_of(answer), std::as_bytes(std::span{text}));
    answer.last = true;
    answer.rooms = 0;
    text.clear();
  });
  answer.more = end.more;
  answer.name_bytes = static_cast<std::uint16_t>(end.last.size());
  text.insert(0, end.last);
  deliver(query.reporter, record_kind::room_answer, bytes_of(answer), std::as_bytes(std::span{text}));
}

void shard::on_room_answer(const room_answer_record& answer, std::string_view text) {
  const auto found = queries_.find(answer.query_id);
  if (found == queries_.end()) return;
  pending_query& pending = found->second;
  pending.sum.found |= answer.found;
  pending.sum.members += answer.members;
  pending.rooms_left -= answer.rooms;
  if (answer.name_bytes > 0) pending.sum.next = text.substr(0, answer.name_bytes);
  text.remove_prefix(answer.name_bytes);
  if (!text.empty()) {
    if (!pending.sum.text.empty()) pending.sum.text += ',';
    pending.sum.text += text;
  }
  if (!answer.last) return;
  if (pending.all && !answer.more && ++pending.at < mesh_.shard_count()) {
    // Asked even when the page is full: whether there are more is a part of the answer.
    const room_query_record query{.reporter = index_, .query_id = answer.query_id, .rooms_max = pending.rooms_left, .all = true};
    return deliver(pending.at, record_kind::room_query, bytes_of(query), {});
  }
  if (!answer.more) pending.sum.next.reset();
  auto finished = queries_.extract(found);
  auto& asked = finished.mapped().asked;
  handlers_.note_answer([on_answer = std::move(asked.answer), sum = std::move(finished.mapped().sum)] { on_answer(sum); }, asked.by, asked.where);
}

} // namespace ringcast
