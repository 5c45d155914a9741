#include "engine/shard/websocket_side.hpp"

#include "engine/connection/connection_layers.hpp"
#include "engine/connection/user_events.hpp"
#include "engine/shard/input_flow.hpp"
#include "proto/message_parts.hpp"

#include <algorithm>
#include <memory>

namespace ringcast::engine {

// Messages of an endpoint that takes them as they come (websocket_endpoint::in_parts). Nothing of them is kept here.
consumed websocket_side::consume_parts(connection& c, std::span<std::byte> bytes) {
  if (c.layers == nullptr) c.layers.reset(new connection_layers);
  if (c.layers->parts == nullptr) c.layers->parts = std::make_unique<message_parts>();
  const std::uint64_t message_bytes_max = with_.rules.message_bytes_max_of(c);
  const frame_rules rules = with_.rules.frame_rules_of(c);
  const std::uint64_t delivered_before = with_.budget.delivered();
  consumed done;
  while (done.bytes < bytes.size()) {
    const message_step next = c.layers->parts->read(bytes.subspan(done.bytes), rules, message_bytes_max);
    done.bytes += next.bytes;
    if (next.what == message_step::kind::need_more && next.bytes == 0) {
      done.wanted = next.wanted;
      break;
    }
    switch (next.what) {
    case message_step::kind::need_more: with_.budget.kept(next.bytes); break;
    case message_step::kind::part:
      if (c.is_open_websocket()) hand_over_part(c, {.op = next.op, .payload = next.payload, .is_last = next.is_last});
      break;
    case message_step::kind::control: on_fragment_or_control(c, c.assembler.take(next.control, message_bytes_max)); break;
    case message_step::kind::violation: on_violation(c, next.broken); break;
    }
    if (c.phase != connection_phase::websocket || is_input_over(c)) {
      done.bytes = bytes.size();
      return done;
    }
    if (with_.share.must_stop(c, delivered_before) || with_.budget.is_spent_on_parts()) [[unlikely]]
      with_.input.stop(c);
    if (c.input_held || c.input_stopped) {
      done.stopped = true;
      break;
    }
  }
  return done;
}

} // namespace ringcast::engine
