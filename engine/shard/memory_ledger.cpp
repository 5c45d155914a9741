#include "engine/shard/memory_ledger.hpp"

#include "engine/base/log.hpp"
#include "engine/connection/connection_layers.hpp"
#include "engine/room/room_table.hpp"
#include "engine/shard/closer.hpp"
#include "engine/shard/http_side.hpp"
#include "engine/shard/input_flow.hpp"
#include "engine/shard/memory_bound.hpp"
#include "engine/shard/upgrader.hpp"
#include "engine/shard/websocket_side.hpp"
#include "proto/held_bytes.hpp"

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

namespace ringcast::engine {

namespace {

// A search costs a walk over all connections: one that found nobody is not tried again in the next turn.
constexpr std::uint64_t debtors_pause_ms = 100;
constexpr std::uint64_t debtors_say_ms = 1'000;

// The chunks of its room's log that a member which is behind needs. Several members may need the same ones.
std::uint64_t pinned_bytes(const membership& seat) {
  const lag& behind = *seat.behind;
  const span_window& window = behind.held != nullptr ? *behind.held : seat.where->window;
  const std::uint64_t sum = behind.flying + window.chunk_bytes_behind(behind.cursor);
  return behind.held == nullptr || behind.stop != lag::no_stop ? sum : sum + seat.where->window.chunk_bytes_behind(behind.replay_end);
}

} // namespace

std::uint64_t memory_ledger::held_bytes() const {
  return with_.blocks.taken_bytes() + static_cast<std::uint64_t>(std::max<std::ptrdiff_t>(held_bytes_of_thread, 0)) +
         with_.deflater.counters().context_bytes + with_.upgrades.held_bytes() + with_.port.overflow_bytes();
}

const session_endpoint* memory_ledger::session_endpoint_of(const connection& c) const {
  if (c.is_client || c.endpoint == nullptr || !c.handler_told || c.user == nullptr) return nullptr;
  for (const auto& sessions : with_.sessions)
    if (&sessions->endpoint == c.endpoint) return sessions.get();
  return nullptr;
}

std::uint64_t memory_ledger::debt_of(const connection& c) const {
  std::uint64_t sum = c.assembler.held_bytes();
  if (c.partial != nullptr) sum += sizeof(partial_input) + c.partial->memory.capacity;
  if (c.layers != nullptr) {
    sum += c.layers->held.bytes() + c.layers->deflates_bytes;
    if (c.layers->inflates != nullptr) sum += inflate_memory_bytes;
  }
  sum += c.behind != nullptr ? c.behind->held_bytes() : with_.output.waiting_bytes(c);
  for (const membership* seat = c.memberships; seat != nullptr; seat = seat->next)
    if (seat->behind != nullptr) sum += pinned_bytes(*seat);
  if (const session_endpoint* sessions = session_endpoint_of(c)) sum += sessions->held_bytes(c.user);
  return sum + with_.upgrades.held_bytes(c);
}

void memory_ledger::end_debtors() {
  if (with_.clock.ms < debtors_next_ms_) return;
  struct debtor {
    std::uint64_t bytes;
    connection_handle who;
  };
  std::vector<debtor> debtors;
  std::uint64_t owed = 0;
  with_.connections.for_each([&](connection& c) {
    // What is ending already is on its way back.
    if (c.phase == connection_phase::ending) return;
    const std::uint64_t debt = debt_of(c);
    if (debt == 0) return;
    owed += debt;
    debtors.push_back({debt, with_.connections.handle_of(c)});
  });
  const std::uint64_t bound = with_.bytes_max;
  if (owed <= bound) {
    debtors_next_ms_ = with_.clock.ms + debtors_pause_ms;
    return;
  }
  const std::uint64_t goal = bound - bound / memory_headroom_divisor;
  std::ranges::sort(debtors, std::greater{}, &debtor::bytes);
  std::size_t count = 0;
  std::uint64_t left = owed;
  for (; count < debtors.size() && left > goal; ++count) {
    left -= debtors[count].bytes;
    if (connection* c = with_.connections.find(debtors[count].who); c != nullptr) end_debtor(*c, "the server holds too much for its peers");
  }
  with_.counters.ended_for_memory += count;
  if (with_.clock.ms < debtors_said_ms_) return;
  debtors_said_ms_ = with_.clock.ms + debtors_say_ms;
  log_warning("shard {} holds {} bytes for its peers, above its bound of {}: the {} that held the most of it are ended ({} so far)",
              with_.connections.index(), owed, bound, count, with_.counters.ended_for_memory);
}

// With 1013 or 503 where the peer can still hear it: behind output that it does not take it would not, and the output is the debt.
void memory_ledger::end_debtor(connection& c, std::string_view why) {
  constexpr auto code = static_cast<std::uint16_t>(close_code::try_again_later);
  if (const session_endpoint* sessions = session_endpoint_of(c)) sessions->drop_waiting(c.user);
  const bool hears = c.behind == nullptr && with_.output.waiting_bytes(c) <= high_watermark_bytes;
  if (hears && c.phase == connection_phase::websocket) {
    with_.websockets.fail(c, code, why);
  } else if (hears && c.phase == connection_phase::http) {
    with_.http.refuse_request(c, http_status::service_unavailable, why);
  } else {
    with_.closing.give_up(c, code, why);
  }
  // Nothing more of it is handled.
  if (c.partial != nullptr) with_.input.free_partial(c);
  c.assembler = {};
}

// There was no memory for what this peer sent, or for what is sent to it. What stands half done belongs to the connection, which ends; if there is
// none for saying so either, it ends without a word.
void memory_ledger::on_refused(connection& c) noexcept {
  ++with_.counters.allocations_failed;
  if (c.phase == connection_phase::free || c.phase == connection_phase::ending) return;
  try {
    end_debtor(c, "the server has no memory");
  } catch (const std::bad_alloc&) {
    if (c.phase != connection_phase::ending)
      with_.closing.give_up(c, static_cast<std::uint16_t>(close_code::try_again_later), "the server has no memory");
  }
}

// What nobody has needed for an interval goes back to the allocator, and when the shard is quiet what the allocator keeps goes back to the kernel.
void memory_ledger::on_trim() {
  const bool is_quiet = std::exchange(busy_turns_, 0) < quiet_turns_max;
  if (is_quiet) {
    with_.memory.trim(with_.clock.ms);
    with_.deflater.trim();
    with_.output.trim();
  }
  const bool gave_back = with_.blocks.trim() > 0;
  if (gave_back) {
    purge_owed_ = true;
  } else if (purge_owed_ && is_quiet) {
    purge_owed_ = false;
    purge_memory();
  }
  if (purge_owed_ || with_.blocks.kept_bytes() > pool_bytes_at_rest) arm_trim();
}

} // namespace ringcast::engine
