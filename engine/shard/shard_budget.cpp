// What a peer can make a shard do in one turn, and what then waits: connections whose share of the turn is used up or whose peer does not
// take its answers, and records of other shards whose messages are large.
#include "engine/shard/shard.hpp"

#include <cstring>
#include <utility>

namespace ringcast {

namespace {

template <class T> T head_of(std::span<const std::byte> bytes) {
  T value;
  std::memcpy(static_cast<void*>(&value), bytes.data(), sizeof value);
  return value;
}

} // namespace

std::uint64_t pointed_bytes(record_kind kind, std::span<const std::byte> record) {
  switch (kind) {
  case record_kind::span: return head_of<span_record>(record).span.bytes();
  case record_kind::publish_large: return head_of<publish_large_record>(record).bytes;
  case record_kind::deliver_large: return head_of<deliver_large_record>(record).bytes;
  case record_kind::room_call_large: return head_of<room_call_large_record>(record).bytes;
  default: return 0;
  }
}

// A peer that does not take its answers is not read any further. A client's output is no answer to its input: if both ends stopped reading
// because they have output, neither would ever go on. And behind our Close frame nothing is answered.
bool shard::is_output_full(const connection& c) const {
  if (c.is_client || outbox_.waiting_bytes(c) <= high_watermark_bytes) return false;
  return c.phase == connection_phase::http || (c.phase == connection_phase::websocket && c.closing.state() == close_state::open);
}

// What has been received and not yet handled is kept. More of it is received meanwhile only while little is kept, see keep_partial().
void shard::stop_input(connection& c) {
  if (c.input_stopped || c.phase == connection_phase::finishing || c.phase == connection_phase::ending) return;
  c.input_stopped = true;
  ++counters_.inputs_stopped;
  stopped_.push_back(handle_of(c));
  if (c.behind != nullptr) pause_receive(c);
}

// First come, first continued, with a budget of its own, so that new input does not keep those who wait from their turn.
void shard::continue_stopped() {
  if (stopped_before_.empty()) return;
  budget_.begin(work_done_elsewhere(), turn_work_bytes_max);
  std::size_t next = 0, kept = 0;
  for (; next < stopped_before_.size() && !budget_.is_spent(work_done_elsewhere()); ++next) {
    connection* c = find(stopped_before_[next]);
    if (c == nullptr || !c->input_stopped || c->phase == connection_phase::ending) continue;
    // Whoever has whole messages goes past those who wait to send more of one.
    if (c->has_part_of_message() && budget_.is_spent_on_parts()) {
      stopped_before_[kept++] = stopped_before_[next];
      continue;
    }
    if (is_output_full(*c)) {
      // From a backlog on_output_progress() comes back; what was only gathered in this turn may be sent whole, and then nothing would.
      if (c->behind == nullptr)
        stopped_.push_back(stopped_before_[next]);
      else
        pause_receive(*c);
      continue;
    }
    c->input_stopped = false;
    resume_input(*c);
    if (c->input_stopped || c->phase == connection_phase::ending) continue;
    if (c->peer_closed && !c->answering && c->phase != connection_phase::finishing) on_end_of_stream(*c);
    // Read now, so that it has its turn before those who stand behind it.
    if (c->receiving == receive_mode::polled && !c->peer_closed)
      receive_hot(*c);
    else
      resume_receive(*c);
  }
  const auto begin = stopped_before_.begin();
  stopped_before_.erase(begin + static_cast<std::ptrdiff_t>(kept), begin + static_cast<std::ptrdiff_t>(next));
}

// Handles a record and says what that has cost.
std::size_t shard::record_work(std::uint32_t from, std::uint32_t kind, std::span<const std::byte> bytes) {
  std::uint64_t work = record_work_bytes + bytes.size() + pointed_bytes(static_cast<record_kind>(kind), bytes);
  if (static_cast<record_kind>(kind) == record_kind::span) {
    const auto message = head_of<span_record>(bytes);
    if (const room_part* r = rooms_.find(message.room)) work += fan_out_cost(std::uint64_t{message.span.bytes()} * r->members());
  }
  if (from != index_) mesh_.pointed_taken(from, index_, pointed_bytes(static_cast<record_kind>(kind), bytes));
  const std::uint64_t before = work_done_elsewhere();
  on_record(from, kind, bytes);
  return static_cast<std::size_t>(work + (work_done_elsewhere() - before));
}

} // namespace ringcast
