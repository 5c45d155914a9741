#include "engine/shard/record_reader.hpp"

#include "engine/base/limits.hpp"
#include "engine/shard/memory_ledger.hpp"
#include "engine/shard/rate_gate.hpp"
#include "engine/shard/stopper.hpp"
#include "engine/shard/upgrader.hpp"
#include "engine/shard/websocket_side.hpp"
#include <ringcast/detail/assert.hpp>

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <thread>
#include <utility>
#include <vector>

namespace ringcast::engine {

namespace {

template <class T> T head_of(std::span<const std::byte> bytes) {
  T value;
  std::memcpy(static_cast<void*>(&value), bytes.data(), sizeof value);
  return value;
}

// A message and the bytes behind it.
template <class T> T take(std::span<const std::byte>& bytes) {
  T value;
  RINGCAST_ASSERT(bytes.size() >= sizeof value);
  std::memcpy(static_cast<void*>(&value), bytes.data(), sizeof value);
  bytes = bytes.subspan(sizeof value);
  return value;
}

// Nobody will handle it: what it holds outside of its record goes.
void drop_message(std::uint32_t kind, std::span<const std::byte> bytes) {
  switch (static_cast<record_kind>(kind)) {
  case record_kind::span: return take<span_record>(bytes).span.chunk->release();
  case record_kind::publish_large: delete[] take<publish_large_record>(bytes).payload; return;
  case record_kind::deliver_large: delete[] take<deliver_large_record>(bytes).payload; return;
  case record_kind::room_call_large: delete[] take<room_call_large_record>(bytes).record; return;
  case record_kind::claim_answer: delete take<claim_answer_record>(bytes).heard; return;
  case record_kind::history_answer: delete take<history_answer_record>(bytes).heard; return;
  case record_kind::run: delete take<run_message>(bytes).work; return;
  default: return;
  }
}

std::uint64_t replayed_bytes(const replay* heard) { return heard == nullptr ? 0 : heard->bytes(); }

std::string_view text_of(std::span<const std::byte> bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

} // namespace

std::uint64_t pointed_bytes(record_kind kind, std::span<const std::byte> record) {
  switch (kind) {
  case record_kind::span: return head_of<span_record>(record).span.bytes();
  case record_kind::publish_large: return head_of<publish_large_record>(record).bytes;
  case record_kind::deliver_large: return head_of<deliver_large_record>(record).bytes;
  case record_kind::room_call_large: return head_of<room_call_large_record>(record).bytes;
  case record_kind::claim_answer: return replayed_bytes(head_of<claim_answer_record>(record).heard);
  case record_kind::history_answer: return replayed_bytes(head_of<history_answer_record>(record).heard);
  default: return 0;
  }
}

void record_reader::deliver(std::uint32_t to, record_kind kind, std::span<const std::byte> value, std::span<const std::byte> more) {
  if (to != own()) {
    with_.port.send(to, static_cast<std::uint32_t>(kind), value, more, pointed_bytes(kind, value));
    return;
  }
  if (more.empty()) return on_record(own(), static_cast<std::uint32_t>(kind), value);
  std::vector<std::byte> joined;
  joined.reserve(value.size() + more.size());
  joined.insert(joined.end(), value.begin(), value.end());
  joined.insert(joined.end(), more.begin(), more.end());
  on_record(own(), static_cast<std::uint32_t>(kind), joined);
}

std::size_t record_reader::take_record(std::uint32_t from, std::uint32_t kind, std::span<const std::byte> bytes) {
  std::uint64_t work = record_work_bytes + bytes.size() + pointed_bytes(static_cast<record_kind>(kind), bytes);
  if (static_cast<record_kind>(kind) == record_kind::span) {
    const auto message = head_of<span_record>(bytes);
    if (const room_part* r = with_.rooms.find(message.room)) work += fan_out_cost(std::uint64_t{message.span.bytes()} * r->members());
  }
  if (from != own()) with_.between.pointed_taken(from, own(), pointed_bytes(static_cast<record_kind>(kind), bytes));
  const std::uint64_t before = with_.share.work_done_elsewhere();
  on_record(from, kind, bytes);
  return static_cast<std::size_t>(work + (with_.share.work_done_elsewhere() - before));
}

// A message for which its room's home has no memory reaches nobody, and its author is ended as if it had been here. If it is here, the exception
// finds it further up.
void record_reader::publish_at_home(std::uint32_t from, const publish_record& head, std::span<const std::byte> payload) {
  if (from == own()) return with_.home.publish(from, head, payload);
  try {
    with_.home.publish(from, head, payload);
  } catch (const std::bad_alloc&) {
    ++with_.counters.allocations_failed;
    if (head.author == 0) return;
    static constexpr std::string_view why = "the server has no memory";
    deliver(from, record_kind::close,
            bytes_of(deliver_record{
                .connection = head.author, .op = opcode::close, .close_code = static_cast<std::uint16_t>(close_code::try_again_later)}),
            std::as_bytes(std::span{why}));
  }
}

void record_reader::on_record(std::uint32_t from, std::uint32_t kind, std::span<const std::byte> bytes) {
  switch (static_cast<record_kind>(kind)) {
  case record_kind::attach_room: {
    const auto attach = take<attach_record>(bytes);
    return with_.home.attach(from, attach, text_of(bytes));
  }
  case record_kind::detach_room: return with_.home.detach(from, take<room_ref>(bytes));
  case record_kind::member_count: {
    const auto count = take<member_count_record>(bytes);
    return with_.home.set_members(from, count.room, count.members);
  }
  case record_kind::publish: {
    const auto head = take<publish_record>(bytes);
    return publish_at_home(from, head, bytes);
  }
  case record_kind::publish_large: {
    const auto large = take<publish_large_record>(bytes);
    const std::unique_ptr<std::byte[]> payload{large.payload};
    return publish_at_home(from, large.head, {large.payload, large.bytes});
  }
  case record_kind::span: return with_.rooms.apply(take<span_record>(bytes));
  case record_kind::report_request: return with_.questions.on_report_request(take<report_request_record>(bytes));
  case record_kind::report_expect: return with_.questions.on_report_expect(take<report_expect_record>(bytes));
  case record_kind::report: return with_.questions.on_report(take<report_record>(bytes));
  case record_kind::refused: {
    const auto messages = take<refused_record>(bytes);
    if (connection* c = with_.connections.find(connection_handle{messages.author})) with_.rates.note_refused(*c, messages.messages);
    return;
  }
  case record_kind::claim_seat: {
    const auto claim = take<claim_record>(bytes);
    return with_.home.claim(from, claim, text_of(bytes));
  }
  case record_kind::claim_answer: {
    const auto answer = take<claim_answer_record>(bytes);
    return on_claim_answer(from, answer, bytes);
  }
  case record_kind::release_name: {
    const auto release = take<name_record>(bytes);
    return with_.home.release_name(from, release.room, text_of(bytes), release.connection);
  }
  case record_kind::user_joined: {
    const auto who = take<name_record>(bytes);
    return with_.home.user_joined(from, who.room, text_of(bytes));
  }
  case record_kind::user_left: {
    const auto who = take<name_record>(bytes);
    return with_.home.user_left(from, who.room, text_of(bytes));
  }
  case record_kind::presence: {
    const auto room = take<room_ref>(bytes);
    return tell_watchers(room, bytes);
  }
  case record_kind::room_query: {
    const auto query = take<room_query_record>(bytes);
    return with_.questions.on_room_query(query, text_of(bytes));
  }
  case record_kind::history_query: {
    const auto query = take<history_query_record>(bytes);
    return with_.questions.on_history_query(query, text_of(bytes));
  }
  case record_kind::history_answer: return with_.questions.on_history_answer(take<history_answer_record>(bytes));
  case record_kind::room_answer: {
    const auto answer = take<room_answer_record>(bytes);
    return with_.questions.on_room_answer(answer, text_of(bytes));
  }
  case record_kind::deliver: {
    const auto message = take<deliver_record>(bytes);
    return send_to({message.connection}, message.op, bytes);
  }
  case record_kind::deliver_large: {
    const auto large = take<deliver_large_record>(bytes);
    const std::unique_ptr<std::byte[]> payload{large.payload};
    return send_to({large.head.connection}, large.head.op, {large.payload, large.bytes});
  }
  case record_kind::close: {
    const auto message = take<deliver_record>(bytes);
    if (connection* c = with_.connections.find({message.connection})) with_.websockets.close(*c, message.close_code, text_of(bytes));
    return;
  }
  case record_kind::room_call: {
    const auto call = take<room_call_record>(bytes);
    return on_room_call(call, bytes);
  }
  case record_kind::room_call_large: {
    const auto large = take<room_call_large_record>(bytes);
    const std::unique_ptr<std::byte[]> record{large.record};
    return on_record(from, static_cast<std::uint32_t>(record_kind::room_call), {large.record, large.bytes});
  }
  case record_kind::leave_room: {
    const connection_handle who{take<std::uint64_t>(bytes)};
    return leave_room(who, text_of(bytes));
  }
  case record_kind::log_break: {
    const auto broken = take<log_break_record>(bytes);
    if (room_part* const r = with_.rooms.find(broken.room)) with_.output.break_log(*r, broken.at);
    return;
  }
  case record_kind::cluster_notice: return tell_cluster(take<cluster_notice_record>(bytes));
  case record_kind::run: {
    const std::unique_ptr<std::function<void(shard&)>> work{take<run_message>(bytes).work};
    return with_.host.run_work(*work);
  }
  case record_kind::said_all: return with_.stopping.on_said_all();
  case record_kind::published_all: return with_.stopping.on_published_all();
  }
}

void record_reader::leave_room(connection_handle who, std::string_view name) {
  connection* c = with_.connections.find(who);
  if (c == nullptr) return;
  for (membership* seat = c->memberships; seat != nullptr; seat = seat->next)
    if (seat->where->name == name) return with_.rooms.leave(*c, *seat->where);
}

void record_reader::on_room_call(const room_call_record& call, std::span<const std::byte> bytes) {
  const std::string_view all{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  const std::string_view name = all.substr(0, call.name_bytes);
  const std::string_view id = all.substr(call.name_bytes, call.id_bytes);
  const std::span<const std::byte> payload = bytes.subspan(call.name_bytes + call.id_bytes);
  if (call.what == room_call_kind::publish) {
    if (!with_.home.publish_to(name, call.op, payload)) ++with_.counters.sent_to_nobody;
    return;
  }
  const connection_handle member = with_.home.member(name, id);
  if (!member) {
    ++with_.counters.sent_to_nobody;
    return;
  }
  if (call.what == room_call_kind::leave)
    return deliver(member.shard(), record_kind::leave_room, bytes_of(member.value), std::as_bytes(std::span{name}));
  const deliver_record head{.connection = member.value, .op = call.op, .close_code = 0};
  if (member.shard() == own()) return send_to(member, call.op, payload);
  if (sizeof head + payload.size() <= with_.between.record_bytes_max()) return deliver(member.shard(), record_kind::deliver, bytes_of(head), payload);
  auto* copied = new std::byte[payload.size()];
  std::copy(payload.begin(), payload.end(), copied);
  deliver(member.shard(), record_kind::deliver_large, bytes_of(deliver_large_record{head, copied, payload.size()}), {});
}

// The home of the room has answered.
void record_reader::on_claim_answer(std::uint32_t from, const claim_answer_record& answer, std::span<const std::byte> name) {
  const claim_record& claim = answer.claim;
  const std::unique_ptr<replay> heard{answer.heard};
  if (answer.verdict != claim_verdict::unavailable) with_.rooms.home_answered(claim.room, claim.first_seats);
  bool taken = false;
  const auto answered = [&] {
    taken = claim.asker != 0 ? with_.claims.answered(claim.asker, answer.verdict, heard.get())
                             : with_.upgrades.on_claim_answer(claim, answer.verdict, heard.get());
  };
  if (connection* c = with_.connections.find({claim.connection}))
    with_.ledger.spend(*c, answered);
  else
    answered();
  // It went away while it waited: the name is free again.
  if (!taken && answer.verdict == claim_verdict::granted && !name.empty())
    deliver(from, record_kind::release_name, bytes_of(name_record{claim.room, claim.connection}), name);
}

void record_reader::tell_cluster(const cluster_notice_record& notice) {
  std::vector<connection_handle> told;
  std::string room;
  if (notice.connection != 0) {
    told.push_back({notice.connection});
  } else if (const room_part* const r = with_.rooms.find(notice.room)) {
    room = r->name;
    with_.rooms.list_members(*r, told);
  }
  for (const connection_handle who : told) with_.users.note_cluster(who, room, notice.what);
}

// Text like any other that others push; whoever does not take it is too slow, whatever the room's policy says of messages.
void record_reader::tell_watchers(room_ref room, std::span<const std::byte> json) {
  std::vector<connection_handle> watchers;
  with_.rooms.list_watchers(room, watchers);
  for (const connection_handle who : watchers) send_to(who, opcode::text, json, "presence");
}

// From another thread or shard. The sender has not waited for the peer, so what a slow one does not take is bounded here.
void record_reader::send_to(connection_handle to, opcode op, std::span<const std::byte> payload, std::string_view event_name) {
  connection* c = with_.connections.find(to);
  if (c == nullptr || !c->is_open_websocket()) {
    ++with_.counters.sent_to_nobody;
    return;
  }
  if (c->behind != nullptr && c->behind->own_bytes() > with_.limits.send_queue_bytes_max)
    return with_.websockets.close(*c, static_cast<std::uint16_t>(close_code::try_again_later), "too slow: more is waiting than the server keeps");
  with_.ledger.spend(*c, [&] {
    if (c->event_stream)
      with_.websockets.send_event(*c, {.name = event_name, .id = {}, .op = op, .payload = payload});
    else if (with_.websockets.send(*c, op, payload) == send_status::in_message)
      ++with_.counters.sent_to_nobody;
  });
}

void record_reader::drain_mesh() {
  with_.between.drain(
      own(), [this](std::uint32_t from, std::uint32_t kind, std::span<const std::byte> bytes) { return take_record(from, kind, bytes); },
      records_work_per_turn_max);
}

// What did not fit into the lanes to other shards waits in our port, and above the bound nothing is taken in that would make more of it.
// It runs behind the completions, since records make output and the failures of the last flush come before any. Their records are taken
// meanwhile, so two shards that wait for each other both go on. A shard that is to stop takes nothing any more, so it has no need to wait;
// and one that waited for a shard that has ended would do so for ever.
void record_reader::drain_overflow() {
  with_.port.flush();
  if (with_.port.overflow_bytes() > mesh_overflow_bytes_max) ++with_.counters.turns_held_by_overflow;
  while (with_.port.overflow_bytes() > mesh_overflow_bytes_max && !with_.between.bell(own()).stop_asked() && with_.port.waits_for_the_living()) {
    drain_mesh();
    with_.port.flush();
    // Whoever makes room may need this core for it.
    std::this_thread::yield();
  }
}

void record_reader::drain_inbox() {
  with_.from_threads.drain([this](std::uint32_t kind, std::span<const std::byte> bytes) { return take_record(own(), kind, bytes); },
                           records_work_per_turn_max);
}

void record_reader::drop_records() {
  while (with_.from_threads.drain([](std::uint32_t kind, std::span<const std::byte> bytes) { drop_message(kind, bytes); }, SIZE_MAX) > 0) {
  }
  with_.between.drain(own(), [](std::uint32_t, std::uint32_t kind, std::span<const std::byte> bytes) { drop_message(kind, bytes); }, SIZE_MAX);
  with_.port.drop_overflow([](std::uint32_t kind, std::span<const std::byte> bytes) { drop_message(kind, bytes); });
}

} // namespace ringcast::engine
