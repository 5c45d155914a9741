#include "engine/shard/room_questions.hpp"

#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>

namespace ringcast::engine {

namespace {

// How an answer travels: each room, or each member's name or user, as a number, the bytes of the name, and the name. The number is that of the room's
// members, 0 for a name, or one more than that of the user's connections.
struct entry_head {
  std::uint32_t members;
  std::uint16_t name_bytes;
};

void append_entry(std::string& text, std::uint32_t members, std::string_view name) {
  const entry_head head{members, static_cast<std::uint16_t>(name.size())};
  text.append(reinterpret_cast<const char*>(&head), sizeof head).append(name);
}

template <class Take> void for_each_entry(std::string_view text, Take&& take) {
  while (!text.empty()) {
    entry_head head;
    std::memcpy(&head, text.data(), sizeof head);
    take(head.members, text.substr(sizeof head, head.name_bytes));
    text.remove_prefix(sizeof head + head.name_bytes);
  }
}

} // namespace

// --- reports ---

void room_questions::publish_with_report(std::string_view room_name, opcode op, std::span<const std::byte> payload,
                                         std::function<void(const broadcast_report&)> on_report, const std::source_location& where) {
  if (!with_.stop.takes_publications) return tell<broadcast_report>({std::move(on_report), with_.users.running(), where}, {});
  room_part* const known = with_.rooms.known(room_name);
  room_part& r = known != nullptr ? *known : with_.rooms.at(room_name, room_encoding::plain);
  if (payload.size() > r.rules->message_bytes_max)
    return tell<broadcast_report>({std::move(on_report), with_.users.running(), where}, {.too_large = true});
  const std::uint32_t id = new_id();
  reports_[id] = {.asked = {std::move(on_report), with_.users.running(), where}};
  with_.rooms.publish(r, {.room = {r.index, r.generation}, .author = 0, .report_id = id, .op = op, .author_hears = true}, payload);
}

void room_questions::on_report_request(const report_request_record& request) {
  const report_record report{request.report_id, with_.rooms.last_report(request.room)};
  with_.courier.deliver(request.reporter, record_kind::report, bytes_of(report), {});
}

// Parts arrive in any order; the home says how many there will be.
void room_questions::on_report_expect(const report_expect_record& expect) {
  const auto found = reports_.find(expect.report_id);
  if (found == reports_.end()) return;
  found->second.expected = expect.shards;
  found->second.sum.position = expect.position;
  found->second.sum.too_fast = expect.too_fast;
  found->second.sum.unavailable = expect.unavailable;
  tell_if_all_answered(found);
}

void room_questions::on_report(const report_record& report) {
  const auto found = reports_.find(report.report_id);
  if (found == reports_.end()) return;
  pending_report& pending = found->second;
  ++pending.answered;
  pending.sum.members += report.counts.members;
  pending.sum.queued += report.counts.queued;
  pending.sum.conflated += report.counts.conflated;
  pending.sum.dropped += report.counts.dropped;
  tell_if_all_answered(found);
}

void room_questions::tell_if_all_answered(reports::iterator of) {
  if (of->second.answered != of->second.expected) return;
  auto finished = reports_.extract(of);
  tell(std::move(finished.mapped().asked), std::move(finished.mapped().sum));
}

// --- queries ---

void room_questions::query_room(std::string_view room_name, std::function<void(const room_listing&)> on_answer, const std::source_location& where) {
  const std::uint32_t id = new_id();
  queries_[id].asked = {std::move(on_answer), with_.users.running(), where};
  ask(with_.rooms.home_of(room_name), {.reporter = with_.own, .query_id = id, .rooms_max = 0, .all = false}, room_name);
}

// The rooms of a shard are sorted there, and a name says which shard is its home: so each page costs its own length, wherever it begins,
// and no shard ever walks over all of them.
void room_questions::query_rooms(std::string_view after, std::uint32_t rooms_max, std::function<void(const room_listing&)> on_answer,
                                 const std::source_location& where) {
  const std::uint32_t id = new_id();
  pending_query& pending = queries_[id];
  pending.asked = {std::move(on_answer), with_.users.running(), where};
  pending.all = true;
  pending.rooms_left = rooms_max;
  pending.at = after.empty() ? 0 : with_.rooms.home_of(after);
  ask(pending.at, {.reporter = with_.own, .query_id = id, .rooms_max = rooms_max, .all = true}, after);
}

void room_questions::ask(std::uint32_t home, const room_query_record& query, std::string_view name) {
  with_.courier.deliver(home, record_kind::room_query, bytes_of(query), std::as_bytes(std::span{name}));
}

void room_questions::on_room_query(const room_query_record& query, std::string_view name) {
  if (query.all)
    answer_rooms(query, name);
  else
    answer_members(query, name);
}

void room_questions::answer(const room_query_record& query, const room_answer_record& head, std::string_view text) {
  with_.courier.deliver(query.reporter, record_kind::room_answer, bytes_of(head), std::as_bytes(std::span{text}));
}

void room_questions::answer_members(const room_query_record& query, std::string_view room_name) {
  room_answer_record head{
      .query_id = query.query_id, .last = true, .found = false, .more = false, .name_bytes = 0, .members = 0, .rooms = 0, .users = 0};
  std::string text;
  if (const home_room* room = with_.home.find(room_name)) {
    head.members = room->members();
    head.found = head.members > 0;
    for (const auto& [member, handle] : room->names) {
      append_entry(text, 0, member);
      if (is_record_full(text)) break; // the count still tells the truth
    }
    if (room->presence != nullptr) {
      head.users = static_cast<std::uint32_t>(room->presence->users.size());
      for (const auto& [id, user] : room->presence->users) {
        if (is_record_full(text)) break;
        append_entry(text, user.connections + 1, id);
      }
    }
  }
  answer(query, head, text);
}

void room_questions::answer_rooms(const room_query_record& query, std::string_view after) {
  room_answer_record head{
      .query_id = query.query_id, .last = true, .found = true, .more = false, .name_bytes = 0, .members = 0, .rooms = 0, .users = 0};
  std::string text;
  const home_table::list_end end = with_.home.list(after, query.rooms_max, [&](const home_room& room) {
    append_entry(text, room.members(), room.name);
    ++head.rooms;
    if (!is_record_full(text)) return;
    head.last = false;
    answer(query, head, text);
    head.last = true;
    head.rooms = 0;
    text.clear();
  });
  head.more = end.more;
  head.name_bytes = static_cast<std::uint16_t>(end.last.size());
  text.insert(0, end.last);
  answer(query, head, text);
}

void room_questions::on_room_answer(const room_answer_record& answer, std::string_view text) {
  const auto found = queries_.find(answer.query_id);
  if (found == queries_.end()) return;
  pending_query& pending = found->second;
  pending.sum.found |= answer.found;
  pending.sum.members += answer.members;
  pending.sum.user_count += answer.users;
  pending.rooms_left -= answer.rooms;
  if (answer.name_bytes > 0) pending.sum.next = text.substr(0, answer.name_bytes);
  text.remove_prefix(answer.name_bytes);
  for_each_entry(text, [&](std::uint32_t members, std::string_view name) {
    if (pending.all)
      pending.sum.rooms.push_back({std::string{name}, members});
    else if (members > 0)
      pending.sum.users.push_back({std::string{name}, members - 1});
    else
      pending.sum.names.emplace_back(name);
  });
  if (!answer.last) return;
  // Asked even when the page is full: whether there are more is a part of the answer.
  if (pending.all && !answer.more && ++pending.at < with_.shard_count)
    return ask(pending.at, {.reporter = with_.own, .query_id = answer.query_id, .rooms_max = pending.rooms_left, .all = true}, {});
  if (!answer.more) pending.sum.next.reset();
  auto finished = queries_.extract(found);
  tell(std::move(finished.mapped().asked), std::move(finished.mapped().sum));
}

// --- what was said ---

void room_questions::query_history(std::string_view room_name, const replay_wish& wish, std::uint32_t wait_ms,
                                   std::function<void(const replay*)> on_answer, const std::source_location& where) {
  const std::uint32_t id = new_id();
  histories_.try_emplace(id, std::move(on_answer), with_.users.running(), where);
  const history_query_record query{.reporter = with_.own, .query_id = id, .wish = wish, .wait_ms = wait_ms};
  with_.courier.deliver(with_.rooms.home_of(room_name), record_kind::history_query, bytes_of(query), std::as_bytes(std::span{room_name}));
}

void room_questions::on_history_query(const history_query_record& query, std::string_view room_name) {
  if (query.wait_ms > 0 && !with_.stop.is_stopping && with_.home.wait(room_name, query)) return;
  std::unique_ptr<replay> heard;
  try {
    heard = with_.home.read(room_name, query.wish);
  } catch (const std::bad_alloc&) {
    // Who asked is told that there is nothing.
  }
  with_.courier.deliver(query.reporter, record_kind::history_answer, bytes_of(history_answer_record{query.query_id, heard.release()}), {});
}

void room_questions::on_history_answer(const history_answer_record& answer) {
  std::shared_ptr<const replay> heard{answer.heard};
  auto finished = histories_.extract(answer.query_id);
  if (finished.empty()) return;
  auto& asked = finished.mapped();
  with_.users.note_answer([tell = std::move(asked.answer), heard] { tell(heard.get()); }, asked.by, asked.where);
}

// --- both ---

template <class Answer> void room_questions::tell(question<Answer>&& asked, Answer&& sum) {
  with_.users.note_answer([answer = std::move(asked.answer), sum = std::move(sum)] { answer(sum); }, asked.by, asked.where);
}

std::uint32_t room_questions::new_id() {
  if (++next_id_ == 0) ++next_id_;
  return next_id_;
}

} // namespace ringcast::engine
