#include "engine/shard/refusal_log.hpp"

#include "engine/base/log.hpp"
#include "engine/base/log_rate.hpp"
#include "engine/io/socket.hpp"
#include <ringcast/detail/clock.hpp>

#include <new>
#include <string>

namespace ringcast::engine {

void log_refusal(refusal why, int socket) try {
  static constinit log_rate rate;
  if (!is_logged(log_level::info)) return;
  const auto [may_say, left_out] = rate.ask(now_ms());
  if (!may_say) return;
  const std::string peer = peer_address_of(socket).text();
  if (left_out == 0)
    log_info("refused {}: {}", peer, name_of(why));
  else
    log_info("refused {}: {} (and {} others before)", peer, name_of(why), left_out);
} catch (const std::bad_alloc&) {
  // A line less: who is refused may be so for want of memory.
}

} // namespace ringcast::engine
