// Every bound of the engine with its reason. Those a user may want to change are fields of server_limits
// (ringcast/server_limits.hpp); the others are constants.
#pragma once

#include <ringcast/server_limits.hpp>

#include <cstddef>
#include <cstdint>

namespace ringcast::engine {

// Connections above server_options::max_connections or max_connections_per_ip that a shard answers with 503 rather than closing at once:
// each lives for linger_ms at most and is worth an explanation, a flood of them is not.
inline constexpr std::uint32_t refusals_answered_max = 64;

// Addresses whose rate of new connections is remembered: 1.5 MiB. A flood from more addresses at once makes the limit give way, not the memory.
inline constexpr std::size_t arrival_addresses_max = 65'536;

// What a shard may hold for its peers if nobody has said: a server gives each the machine's share (engine/shard/memory_bound.hpp).
inline constexpr std::uint64_t shard_memory_bytes_default = 4ULL << 30;
// Where a shard is above its bound, debtors are ended until it is this part below it: not one in each turn.
inline constexpr std::uint64_t memory_headroom_divisor = 16;

// An unfinished frame or body has memory for what has come, at least this much and at most four times that (a block is a power of two, so
// eight times where the end is in sight). Most frames that are cut by the end of a receive buffer fit into the first block.
inline constexpr std::size_t partial_bytes_min = 4 * 1024;
inline constexpr std::size_t partial_growth = 4;

// A frame or a body under way brings at least this on average over frame_timeout_ms (a request's over handshake_timeout_ms), else it ends
// with 1008 or 408: it holds memory that its peer pays nothing for. A telephone modem of 1995 does three times as much. Between the fragments of a
// message a program may think, so a message without a cut frame is asked only from large_frame_bytes on.
inline constexpr std::uint32_t progress_bytes_per_s_min = 1024;
// The last answers of a connection that ends may take longer than linger_ms to reach their peer as long as it takes this much: 4 MiB, what a
// kernel's send buffer holds by default, are gone after two minutes.
inline constexpr std::uint32_t drain_bytes_per_s_min = 32 * 1024;

// How often a shard that holds more than it needs looks what of it can be given back.
inline constexpr std::uint32_t trim_interval_ms = 1'000;
// How often what rooms keep is looked at for what has become too old: options are in seconds.
inline constexpr std::uint32_t history_interval_ms = 1'000;
// How often a shard of a cluster looks at its way to the engine, and at some of its rooms: a way that is half dead is found within two seconds.
inline constexpr std::uint32_t cluster_tick_ms = 200;
// Not worth a timer: what a shard's pool may keep for ever.
inline constexpr std::size_t pool_bytes_at_rest = 256 * 1024;
// A shard that found something to do in fewer turns than this in such an interval is quiet enough to pay for a walk of the allocator.
inline constexpr std::uint32_t quiet_turns_max = 1'000;

// What the kernel holds for a peer that does not read, beyond what is under way to it (TCP_NOTSENT_LOWAT, kernel-notes/memory.md): as much
// as own output may wait. A send that finds more than this unsent is short, and the rest waits where --send-queue-bytes sees it.
inline constexpr int kernel_unsent_bytes_max = 128 * 1024;

// After the last bytes have been handed to TCP: how long a peer may take to close its side. Closing at once could reset the connection
// and destroy our Close frame on its way (RFC 6455 7.1.1, RFC 9112 9.6).
inline constexpr std::uint32_t linger_ms = 2'000;

// TLS handshakes that a shard goes on with in one loop turn. A full one costs 0.1 to 0.6 ms (kernel-notes/tls.md), so open connections wait
// for at most a few milliseconds of them.
inline constexpr std::uint32_t tls_handshake_steps_per_turn_max = 8;
// Of these, what answers of peers whose handshake has begun may take while others wait to begin.
inline constexpr std::uint32_t tls_handshake_answers_per_turn_max = 4;
// Complete ClientHellos that wait for their step: what a core begins in 0.6 s. Who comes then is closed at once, whoever it is.
inline constexpr std::uint32_t tls_hellos_waiting_max = 4096;

// Provided buffers of a shard: half of what a core's second-level cache holds. Fewer run out when a thousand connections send at once, and
// more are not better (kernel-notes/ring.md). A turn that needs more parks its receives until the turn's end.
inline constexpr std::uint32_t receive_buffers = 32;
inline constexpr std::uint32_t receive_buffer_bytes = 16 * 1024;

// From this frame size on a connection is read straight into one hot buffer instead of provided buffers, and its answers are sent
// without being copied: copying would cost more than the extra system call.
inline constexpr std::size_t large_frame_bytes = 8 * 1024;
inline constexpr std::size_t large_receive_bytes = 256 * 1024;
// A coroutine that keeps a message of the hot buffer while it waits for something else takes the buffer with it, and the shard goes on with
// another one: 4 MiB of them at most, then such messages are copied first.
inline constexpr std::uint32_t hot_buffers_lent_max = 16;

// Reading from a peer stops while this much of our output waits for it, and goes on below the lower mark.
inline constexpr std::size_t high_watermark_bytes = 128 * 1024;
inline constexpr std::size_t low_watermark_bytes = 32 * 1024;

// What a shard handles of its peers' input in one turn, in bytes of work (turn_budget.hpp); first what comes in, then as much again of what
// was stopped in turns before. A byte costs about a nanosecond to inflate and as much to check and to send back, and the last message may
// be message_bytes_max above the bound: (2 x 2 MiB + 2 x 1 MiB) x 2 ns are 12 ms that somebody else may have to wait.
inline constexpr std::uint64_t turn_work_bytes_max = 2u << 20;
// And of what is kept until the rest of its message comes, for both in the same way. The memory that takes it is new: with the kernel's work
// for it a byte costs about a nanosecond. Who sends whole messages waits for these turns and not for those who send the parts.
inline constexpr std::uint64_t turn_parts_bytes_max = 512 * 1024;
// Of that, what one connection is delivered before others have their turn: one message of the default bound.
inline constexpr std::uint64_t connection_turn_bytes_max = 1u << 20;
// A request costs about a microsecond, however short it is.
inline constexpr std::uint64_t request_work_bytes = 1024;

// The largest part of a backlog that is given to the kernel in one send; the chunks it touches are pinned until it completes.
inline constexpr std::size_t backlog_send_bytes_max = 512 * 1024;

// Records taken from the mesh in one turn, and as many from the inbox, so that the ring is never starved: each costs this and what it
// points to, with what the members of its room are to be sent (record_reader::take_record). 4,096 small ones, or four of 1 MiB.
inline constexpr std::size_t record_work_bytes = 1024;
inline constexpr std::size_t records_work_per_turn_max = 4096 * record_work_bytes;
// Bytes of one lane of the mesh. 1 MiB holds about a thousand published messages of 1 KiB. A record takes at most a quarter of it; a larger
// message travels as a pointer (mesh_lane_pointed_bytes_max), and what does not fit waits with its sender.
inline constexpr std::uint32_t mesh_lane_bytes = 1u << 20;
// What the records of one lane may point to; what would be more waits with its sender. Some messages of the default bound.
inline constexpr std::uint64_t mesh_lane_pointed_bytes_max = 8u << 20;
// What may wait for room in the lanes, with what it points to: some turns' worth of full receive buffers. Above it a shard stays behind the
// completions of its turn and takes only records of the mesh, until what waits is below it again (record_reader::drain_overflow).
inline constexpr std::size_t mesh_overflow_bytes_max = 8u << 20;
inline constexpr std::uint32_t inbox_bytes = 4u << 20;

// After a loop turn that served this many members of rooms the shard may wait a little for more, see shard::plan_wait().
inline constexpr std::uint32_t busy_turn_members = 8;

} // namespace ringcast::engine
