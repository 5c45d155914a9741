// What a server tells of its connections: see server::connections(). Plain values; each connection as it was when its shard looked at it, so a page is no
// picture of one moment. Connections of the client role are not in it.
#pragma once

#include <ringcast/connection_handle.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ringcast {

// Which come first. Equal ones stand in the order of their handles, so pages have neither a hole nor a repetition while nothing changes.
enum class connection_order : std::uint8_t {
  behind, // the most bytes_behind
  age, // the oldest
  messages_in, // the most
  messages_out,
};

// Where a page ends: the next one begins behind it. Its key is that of the order in which it was asked for.
struct connection_place {
  std::uint64_t key = 0;
  connection_handle id{};

  friend bool operator==(const connection_place&, const connection_place&) = default;
};

// A page is this long at most: a thousand of them are some hundred KiB of JSON.
inline constexpr std::uint32_t connection_page_max = 1'000;

struct connection_query {
  connection_order order = connection_order::behind;
  std::string room{}; // who sits in it; empty: all connections
  std::uint32_t limit = 100; // of the page, 1 to connection_page_max; what is outside is taken as the nearest
  std::optional<connection_place> after{}; // nothing: the first page
};

enum class connection_kind : std::uint8_t {
  http, // and those whose TLS or WebSocket handshake is under way
  websocket,
  event_stream,
  ending, // the last bytes are on their way, or the peer's end is awaited
};
// "http", "websocket", "event-stream", "ending".
[[nodiscard]] const char* name_of(connection_kind kind);

struct connection_summary {
  connection_handle id{};
  connection_kind kind = connection_kind::http;
  std::string address{}; // as websocket_ref::peer().text()
  std::vector<std::string> rooms{}; // the newest first, at most rooms_max of them
  std::uint32_t room_count = 0;
  std::string name{}, user{}; // with which it joined the newest room that has one; empty: none
  std::uint32_t age_s = 0; // seconds since it was accepted
  std::optional<std::uint32_t> pong_age_s{}; // seconds since its last Pong frame; nothing: it has sent none

  // What waits for it here: own output, and what its rooms have said since the message that it is sent next; a send that the kernel has not finished counts
  // whole. What the kernel has taken is not in it.
  std::uint64_t bytes_behind = 0;
  std::uint64_t messages_behind = 0; // of its rooms, that no send has begun with
  // WebSocket messages. Those of rooms count when they are handed to the kernel; what the slow-consumer policy took does not.
  std::uint64_t messages_in = 0, messages_out = 0;
  // As TCP has counted them, so encrypted where TLS is spoken; bytes that the peer's kernel has acknowledged. Nothing for Unix sockets.
  std::optional<std::uint64_t> bytes_in{}, bytes_out{};
  std::optional<std::uint64_t> bytes_unacknowledged{}; // that the kernel has taken, and the peer's has not
  std::optional<std::uint32_t> round_trip_us{}; // as TCP has smoothed it

  std::string tls_version{}; // "TLSv1.3"; empty: not encrypted
  bool compressed = false; // permessage-deflate is agreed on, and this end compresses
  bool compression_context = false; // with context takeover

  static constexpr std::size_t rooms_max = 16;
};

struct connection_page {
  std::vector<connection_summary> connections{}; // fewer than the limit also where some have gone meanwhile
  std::uint64_t total = 0; // of all pages
  std::optional<connection_place> next{}; // the `after` of the next page. Nothing: this was the last one
};

} // namespace ringcast
