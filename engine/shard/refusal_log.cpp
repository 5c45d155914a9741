#include "engine/shard/refusal_log.hpp"

#include "engine/base/log.hpp"
#include "engine/base/log_rate.hpp"
#include "engine/io/socket.hpp"
#include "engine/shard/peer_book.hpp"
#include <ringcast/detail/clock.hpp>

#include <new>
#include <string>

namespace ringcast::engine {

namespace {

template <class Address> void say(refusal why, Address&& address) try {
  static constinit log_rate rate;
  if (!is_logged(log_level::info)) return;
  const auto [may_say, left_out] = rate.ask(now_ms());
  if (!may_say) return;
  const std::string peer = address().text();
  if (left_out == 0)
    log_info("refused {}: {}", peer, name_of(why));
  else
    log_info("refused {}: {} (and {} others before)", peer, name_of(why), left_out);
} catch (const std::bad_alloc&) {
  // A line less: who is refused may be so for want of memory.
}

} // namespace

void log_refusal(refusal why, int socket) {
  say(why, [&] { return peer_address_of(socket); });
}

void log_refusal(refusal why, const socket_address& peer) {
  say(why, [&] { return peer; });
}

void log_refusal(refusal why, const peer_book& peers, const connection& c) {
  say(why, [&] { return peers.peer_of(c); });
}

void log_refusal(refusal why, const peer_book& peers, const connection& c, const http_fields& head) {
  say(why, [&] { return peers.peer_of(c, head); });
}

} // namespace ringcast::engine
