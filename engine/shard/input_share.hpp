// How much of its input a connection may have handled in this turn: its own share, the whole turn's budget, and the answers that its peer
// has still to take.
#pragma once

#include "engine/base/limits.hpp"
#include "engine/connection/connection.hpp"
#include "engine/room/outbox.hpp"
#include "engine/room/room_home.hpp"
#include "engine/shard/turn_budget.hpp"

#include <cstdint>

namespace ringcast::engine {

class input_share {
 public:
  input_share(turn_budget& budget, const outbox& output, const home_table& home) : budget_(budget), output_(output), home_(home) {}

  void begin() { budget_.begin(work_done_elsewhere(), turn_work_bytes_max); }
  [[nodiscard]] bool is_spent() const { return budget_.is_spent(work_done_elsewhere()); }
  // `delivered_before` is what turn_budget::delivered() said when this connection's input of this turn began.
  [[nodiscard]] bool must_stop(const connection& c, std::uint64_t delivered_before) const {
    return budget_.delivered() - delivered_before >= connection_turn_bytes_max || is_spent() || is_output_full(c);
  }
  // A peer that does not take its answers is not read any further. A client's output is no answer to its input: if both ends stopped reading
  // because they have output, neither would ever go on. And behind our Close frame nothing is answered.
  [[nodiscard]] bool is_output_full(const connection& c) const {
    if (c.is_client || output_.waiting_bytes(c) <= high_watermark_bytes) return false;
    return c.phase == connection_phase::http || (c.phase == connection_phase::websocket && c.closing.state() == close_state::open);
  }
  [[nodiscard]] std::uint64_t work_done_elsewhere() const { return output_.produced_bytes() + fan_out_cost(home_.fan_out_bytes()); }

 private:
  turn_budget& budget_;
  const outbox& output_;
  const home_table& home_;
};

} // namespace ringcast::engine
