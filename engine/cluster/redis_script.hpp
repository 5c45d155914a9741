// What runs within Redis or Valkey, whole or not at all as far as others see: redis_engine.hpp says what the keys are.
//
// KEYS: the hash, the stream. ARGV: what to do, a number that begins an epoch if one begins, how long it is all kept (ms); then for "publish" the
// count of messages, how many are kept, the channel and the batch; for "read" the first number and the count of batches. Answers the epoch and: for
// "publish" the number of the first message, for "read" entries of the stream, for "top" the newest number and the base.
//
// What may fail (a key of another type, no memory) fails before anything has changed, or leaves a number without a message, which is a gap and told.
#pragma once

#include <string_view>

namespace ringcast::engine {

inline constexpr std::string_view redis_script = R"lua(
local top = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'base', 'server')
local server = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
if top[4] ~= server or not top[2] then
  if not top[2] then redis.call('DEL', KEYS[2]) end
  top = {ARGV[2], top[2] or '0', top[2] or '0'}
  redis.call('HSET', KEYS[1], 'epoch', top[1], 'seq', top[2], 'base', top[3], 'server', server)
end
local answer
if ARGV[1] == 'publish' then
  local last = string.format('%.0f', top[2] + ARGV[4])
  local first = string.format('%.0f', top[2] + 1)
  local oldest = string.format('%.0f', math.max(last - ARGV[5], 0))
  redis.call('XADD', KEYS[2], 'MINID', '~', oldest, last .. '-1', 'n', ARGV[4], 'b', ARGV[7])
  redis.call('HSET', KEYS[1], 'seq', last)
  redis.call('PUBLISH', ARGV[6], top[1] .. ':' .. first .. ':' .. ARGV[4] .. '\n' .. ARGV[7])
  answer = {top[1], first}
elseif ARGV[1] == 'read' then
  answer = {top[1], redis.call('XRANGE', KEYS[2], ARGV[4] .. '-0', '+', 'COUNT', ARGV[5])}
else
  answer = {top[1], top[2], top[3]}
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return answer
)lua";

} // namespace ringcast::engine
