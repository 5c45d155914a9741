// What other shards and other threads say to a shard, and what a shard says to itself: the messages of records.hpp.
#include "engine/shard/shard.hpp"

#include <algorithm>
#include <cstring>

namespace ringcast {

namespace {

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
  case record_kind::run: delete take<run_message>(bytes).work; return;
  default: return;
  }
}

std::string_view text_of(std::span<const std::byte> bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

} // namespace

// To another shard through the mesh; to itself at once.
void shard::deliver(std::uint32_t to, record_kind kind, std::span<const std::byte> value, std::span<const std::byte> more) {
  if (to != index_) {
    port_.send(to, static_cast<std::uint32_t>(kind), value, more, pointed_bytes(kind, value));
    return;
  }
  if (more.empty()) return on_record(index_, static_cast<std::uint32_t>(kind), value);
  std::vector<std::byte> joined;
  joined.reserve(value.size() + more.size());
  joined.insert(joined.end(), value.begin(), value.end());
  joined.insert(joined.end(), more.begin(), more.end());
  on_record(index_, static_cast<std::uint32_t>(kind), joined);
}

// A message for which its room's home has no memory reaches nobody, and its author is ended as if it had been here. If it is here, the exception
// finds it further up.
void shard::publish_at_home(std::uint32_t from, const publish_record& head, std::span<const std::byte> payload) {
  if (from == index_) return home_.publish(from, head, payload);
  try {
    home_.publish(from, head, payload);
  } catch (const std::bad_alloc&) {
    ++counters_.allocations_failed;
    if (head.author == 0) return;
    static constexpr std::string_view why = "the server has no memory";
    deliver(from, record_kind::close,
            bytes_of(deliver_record{
                .connection = head.author, .op = opcode::close, .close_code = static_cast<std::uint16_t>(close_code::try_again_later)}),
            std::as_bytes(std::span{why}));
  }
}

void shard::on_record(std::uint32_t from, std::uint32_t kind, std::span<const std::byte> bytes) {
  switch (static_cast<record_kind>(kind)) {
  case record_kind::attach_room: {
    const auto attach = take<attach_record>(bytes);
    return home_.attach(from, attach, text_of(bytes));
  }
  case record_kind::detach_room: return home_.detach(from, take<room_ref>(bytes));
  case record_kind::member_count: {
    const auto count = take<member_count_record>(bytes);
    return home_.set_members(from, count.room, count.members);
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
  case record_kind::span: return rooms_.apply(take<span_record>(bytes));
  case record_kind::report_request: {
    const auto request = take<report_request_record>(bytes);
    return deliver(request.reporter, record_kind::report, bytes_of(report_record{request.report_id, rooms_.last_report(request.room)}), {});
  }
  case record_kind::report_expect: {
    const auto expect = take<report_expect_record>(bytes);
    return on_report_part(expect.report_id, nullptr, expect.shards);
  }
  case record_kind::report: {
    const auto report = take<report_record>(bytes);
    return on_report_part(report.report_id, &report.counts, 0);
  }
  case record_kind::claim_seat: {
    const auto claim = take<claim_record>(bytes);
    const bool granted = home_.claim_name(from, claim.room, text_of(bytes), claim.connection, claim.takes_over);
    return deliver(from, record_kind::claim_answer, bytes_of(claim_answer_record{claim, granted}), bytes);
  }
  case record_kind::claim_answer: {
    const auto answer = take<claim_answer_record>(bytes);
    return on_claim_answer(from, answer, bytes);
  }
  case record_kind::release_name: {
    const auto release = take<name_record>(bytes);
    return home_.release_name(from, release.room, text_of(bytes), release.connection);
  }
  case record_kind::room_query: {
    const auto query = take<room_query_record>(bytes);
    return on_room_query(query, text_of(bytes));
  }
  case record_kind::room_answer: {
    const auto answer = take<room_answer_record>(bytes);
    return on_room_answer(answer, text_of(bytes));
  }
  case record_kind::deliver: {
    const auto message = take<deliver_record>(bytes);
    return deliver_to({message.connection}, message.op, bytes);
  }
  case record_kind::deliver_large: {
    const auto large = take<deliver_large_record>(bytes);
    const std::unique_ptr<std::byte[]> payload{large.payload};
    return deliver_to({large.head.connection}, large.head.op, {large.payload, large.bytes});
  }
  case record_kind::close: {
    const auto message = take<deliver_record>(bytes);
    if (connection* c = find({message.connection})) close_websocket(*c, message.close_code, text_of(bytes));
    return;
  }
  case record_kind::room_call: {
    const auto call = take<room_call_record>(bytes);
    return on_room_call(from, call, bytes);
  }
  case record_kind::room_call_large: {
    const auto large = take<room_call_large_record>(bytes);
    const std::unique_ptr<std::byte[]> record{large.record};
    return on_record(from, static_cast<std::uint32_t>(record_kind::room_call), {large.record, large.bytes});
  }
  case record_kind::leave_room: {
    const connection_handle who{take<std::uint64_t>(bytes)};
    connection* c = find(who);
    if (c == nullptr) return;
    for (membership* seat = c->memberships; seat != nullptr; seat = seat->next)
      if (seat->where->name == text_of(bytes)) return rooms_.leave(*c, *seat->where);
    return;
  }
  case record_kind::run: {
    const std::unique_ptr<std::function<void(shard&)>> work{take<run_message>(bytes).work};
    return (*work)(*this);
  }
  case record_kind::said_all: ++neighbours_said_all_; return;
  case record_kind::published_all: ++neighbours_published_all_; return;
  }
}

// From another thread or shard. The sender has not waited for the peer, so what a slow one does not take is bounded here.
void shard::deliver_to(connection_handle to, opcode op, std::span<const std::byte> payload) {
  connection* c = find(to);
  if (c == nullptr || !c->is_open_websocket()) {
    ++counters_.sent_to_nobody;
    return;
  }
  if (c->behind != nullptr && c->behind->own_bytes() > options_.limits.send_queue_bytes_max)
    return close_websocket(*c, static_cast<std::uint16_t>(close_code::try_again_later), "too slow: more is waiting than the server keeps");
  spend_memory(*c, [&] { send(*c, op, payload); });
}

// The shard has ended: what was still on its way to it goes, and what waits here for the lanes to others. The mesh may hold both large
// payloads and spans, whose chunks go home.
void shard::drop_records() {
  while (inbox_.drain([](std::uint32_t kind, std::span<const std::byte> bytes) { drop_message(kind, bytes); }, SIZE_MAX) > 0) {
  }
  mesh_.drain(index_, [](std::uint32_t, std::uint32_t kind, std::span<const std::byte> bytes) { drop_message(kind, bytes); }, SIZE_MAX);
  port_.drop_overflow([](std::uint32_t kind, std::span<const std::byte> bytes) { drop_message(kind, bytes); });
}

void shard::publish_with_report(std::string_view room_name, opcode op, std::span<const std::byte> payload,
                                std::function<void(const broadcast_report&)> on_report, const std::source_location& where) {
  if (!takes_publications_) return handlers_.note_answer([answer = std::move(on_report)] { answer({}); }, handlers_.running(), where);
  const std::uint32_t id = new_id();
  reports_[id] = {.asked = {std::move(on_report), handlers_.running(), where}};
  room_part* const known = rooms_.known(room_name);
  room_part& r = known != nullptr ? *known : rooms_.at(room_name, room_encoding::plain);
  rooms_.publish(r, {.room = {r.index, r.generation}, .author = 0, .report_id = id, .op = op, .author_hears = true}, payload);
}

// Parts arrive in any order; the home says how many there will be.
void shard::on_report_part(std::uint32_t id, const broadcast_report* counts, std::uint32_t expect) {
  const auto found = reports_.find(id);
  if (found == reports_.end()) return;
  pending_report& pending = found->second;
  if (counts != nullptr) {
    ++pending.answered;
    pending.sum.members += counts->members;
    pending.sum.queued += counts->queued;
    pending.sum.conflated += counts->conflated;
    pending.sum.dropped += counts->dropped;
  } else {
    pending.expected = expect;
  }
  if (pending.answered != pending.expected) return;
  auto finished = reports_.extract(found);
  auto& asked = finished.mapped().asked;
  handlers_.note_answer([on_report = std::move(asked.answer), sum = finished.mapped().sum] { on_report(sum); }, asked.by, asked.where);
}

} // namespace ringcast
