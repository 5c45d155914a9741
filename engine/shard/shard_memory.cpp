// The memory ledger of a shard: what it holds for its peers, whose it is, and what happens above the bound.
//
// The total costs nothing per message: blocks are counted by their pool, everything else that peers make grow keeps its share of
// held_bytes_of_thread. Whose it is is found by a walk over the connections, only while the total is above the bound. The walk decides: memory that
// belongs to nobody (a room's log that members of another shard need, a record on its way) ends nobody here.
#include "engine/base/log.hpp"
#include "engine/connection/connection_layers.hpp"
#include "engine/room/room_table.hpp"
#include "engine/shard/memory_bound.hpp"
#include "engine/shard/shard.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace ringcast {

namespace {

// A search costs a walk over all connections: one that found nobody is not tried again in the next turn.
constexpr std::uint64_t debtors_pause_ms = 100;
constexpr std::uint64_t debtors_say_ms = 1'000;

// What a session or a name that was asked for holds beside its text.
constexpr std::size_t pending_upgrade_bytes = 2'048;

// The chunks of its room's log that a member which is behind needs. Several members may need the same ones.
std::uint64_t pinned_bytes(const membership& seat) {
  const lag& behind = *seat.behind;
  const span_window& window = behind.held != nullptr ? *behind.held : seat.where->window;
  return behind.flying + window.chunk_bytes_behind(behind.cursor);
}

} // namespace

std::uint64_t shard::memory_held() const {
  return blocks_.taken_bytes() + static_cast<std::uint64_t>(std::max<std::ptrdiff_t>(held_bytes_of_thread, 0)) +
         compressor_.counters().context_bytes + upgrades_.size() * pending_upgrade_bytes + port_.overflow_bytes();
}

session_endpoint* shard::session_endpoint_of(const connection& c) {
  if (c.is_client || c.endpoint == nullptr || !c.handler_told || c.user == nullptr) return nullptr;
  for (const auto& sessions : session_endpoints_)
    if (&sessions->endpoint == c.endpoint) return sessions.get();
  return nullptr;
}

std::uint64_t shard::debt_of(const connection& c) {
  std::uint64_t sum = c.assembler.held_bytes();
  if (c.partial != nullptr) sum += sizeof(partial_input) + c.partial->memory.capacity;
  if (c.layers != nullptr) {
    sum += c.layers->held.bytes() + c.layers->deflates_bytes;
    if (c.layers->inflates != nullptr) sum += inflate_memory_bytes;
  }
  sum += c.behind != nullptr ? c.behind->held_bytes() : outbox_.waiting_bytes(c);
  for (const membership* seat = c.memberships; seat != nullptr; seat = seat->next)
    if (seat->behind != nullptr) sum += pinned_bytes(*seat);
  if (const session_endpoint* sessions = session_endpoint_of(c)) sum += sessions->held_bytes(c.user);
  if (!upgrades_.empty() && upgrades_.contains(c.slot)) sum += pending_upgrade_bytes;
  return sum;
}

void shard::end_debtors() {
  if (now_ms_ < debtors_next_ms_) return;
  struct debtor {
    std::uint64_t bytes;
    connection_handle who;
  };
  std::vector<debtor> debtors;
  std::uint64_t owed = 0;
  connections_.for_each([&](connection& c) {
    // What is ending already is on its way back.
    if (c.phase == connection_phase::ending) return;
    const std::uint64_t debt = debt_of(c);
    if (debt == 0) return;
    owed += debt;
    debtors.push_back({debt, handle_of(c)});
  });
  const std::uint64_t bound = options_.memory_bytes;
  if (owed <= bound) {
    debtors_next_ms_ = now_ms_ + debtors_pause_ms;
    return;
  }
  const std::uint64_t goal = bound - bound / memory_headroom_divisor;
  std::ranges::sort(debtors, std::greater{}, &debtor::bytes);
  std::size_t count = 0;
  std::uint64_t left = owed;
  for (; count < debtors.size() && left > goal; ++count) {
    left -= debtors[count].bytes;
    if (connection* c = find(debtors[count].who); c != nullptr) end_debtor(*c, "the server holds too much for its peers");
  }
  counters_.ended_for_memory += count;
  if (now_ms_ < debtors_said_ms_) return;
  debtors_said_ms_ = now_ms_ + debtors_say_ms;
  log_warning("shard {} holds {} bytes for its peers, above its bound of {}: the {} that held the most of it are ended ({} so far)", index_, owed,
              bound, count, counters_.ended_for_memory);
}

// With 1013 or 503 where the peer can still hear it: behind output that it does not take it would not, and the output is the debt.
void shard::end_debtor(connection& c, std::string_view why) {
  constexpr auto code = static_cast<std::uint16_t>(close_code::try_again_later);
  if (const session_endpoint* sessions = session_endpoint_of(c)) sessions->drop_waiting(c.user);
  const bool hears = c.behind == nullptr && outbox_.waiting_bytes(c) <= high_watermark_bytes;
  if (hears && c.phase == connection_phase::websocket) {
    if (c.closing.fail() == close_action::send_close) {
      send_close(c, code, why);
      (void)c.closing.on_close_written();
    }
    c.close_code = code;
    leave_rooms(c);
    tell_closed(c, why);
    finish(c);
  } else if (hears && c.phase == connection_phase::http) {
    refuse_request(c, http_status::service_unavailable, why);
  } else {
    give_up(c, code, why);
  }
  // Nothing more of it is handled.
  if (c.partial != nullptr) free_partial(c);
  c.assembler = {};
}

// There was no memory for what this peer sent, or for what is sent to it. What stands half done belongs to the connection, which ends; if there is
// none for saying so either, it ends without a word.
void shard::on_memory_refused(connection& c) noexcept {
  ++counters_.allocations_failed;
  if (c.phase == connection_phase::free || c.phase == connection_phase::ending) return;
  try {
    end_debtor(c, "the server has no memory");
  } catch (const std::bad_alloc&) {
    if (c.phase != connection_phase::ending) give_up(c, static_cast<std::uint16_t>(close_code::try_again_later), "the server has no memory");
  }
}

// What nobody has needed for an interval goes back to the allocator, and when the shard is quiet what the allocator keeps goes back to the kernel.
void shard::on_trim() {
  const bool is_quiet = std::exchange(busy_turns_, 0) < quiet_turns_max;
  if (is_quiet) {
    if (hot_.bytes != nullptr && now_ms_ - hot_used_ms_ >= trim_interval_ms) blocks_.give_back(std::exchange(hot_, {}));
    compressor_.trim();
    outbox_.trim();
  }
  const bool gave_back = blocks_.trim() > 0;
  if (gave_back) {
    purge_owed_ = true;
  } else if (purge_owed_ && is_quiet) {
    purge_owed_ = false;
    purge_memory();
  }
  if (purge_owed_ || blocks_.kept_bytes() > pool_bytes_at_rest) timers_.arm(trim_timer_, now_ms_ + trim_interval_ms);
}

} // namespace ringcast
