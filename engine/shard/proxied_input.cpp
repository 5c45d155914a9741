#include "engine/shard/proxied_input.hpp"

#include "engine/base/log.hpp"
#include "engine/connection/user_events.hpp"
#include "engine/io/socket.hpp"
#include "engine/shard/closer.hpp"
#include "engine/shard/http_side.hpp"
#include "engine/shard/peer_book.hpp"
#include "engine/shard/refusal_log.hpp"

#include <algorithm>
#include <cstring>
#include <netinet/in.h>
#include <sys/un.h>

namespace ringcast::engine {

namespace {

socket_address address_of(const proxy_header& header) {
  socket_address made;
  switch (header.source) {
  case proxy_header::family::none: break;
  case proxy_header::family::ipv4: {
    auto& v4 = reinterpret_cast<sockaddr_in&>(made.storage);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(header.port);
    std::memcpy(&v4.sin_addr, header.address.data(), sizeof v4.sin_addr);
    made.bytes = sizeof v4;
    break;
  }
  case proxy_header::family::ipv6: {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(made.storage);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(header.port);
    std::memcpy(&v6.sin6_addr, header.address.data(), sizeof v6.sin6_addr);
    made.bytes = sizeof v6;
    break;
  }
  case proxy_header::family::unix_socket: {
    auto& local = reinterpret_cast<sockaddr_un&>(made.storage);
    static_assert(sizeof local.sun_path == 108); // as many as the header has
    local.sun_family = AF_UNIX;
    std::memcpy(local.sun_path, header.path.data(), header.path.size());
    made.bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + header.path.size());
    break;
  }
  }
  return made;
}

} // namespace

// Whole, as it nearly always is, it is read where it stands.
std::span<std::byte> proxied_input::take(connection& c, std::span<std::byte> bytes) {
  if (is_input_over(c)) return {};
  const auto begun = begun_.find(c.slot);
  const std::size_t before = begun == begun_.end() ? 0 : begun->second.size();
  std::span<const std::byte> come = bytes;
  if (before > 0) {
    const std::span<std::byte> more = bytes.first(std::min(bytes.size(), proxy_header_bytes_max - before));
    begun->second.insert(begun->second.end(), more.begin(), more.end());
    come = begun->second;
  }
  proxy_header header;
  const proxy_header_result read = parse_proxy_header(come, header);
  if (read.status == proxy_header_status::need_more) {
    if (before == 0) begun_.try_emplace(c.slot, bytes.begin(), bytes.end());
    return {};
  }
  c.proxy_header_awaited = false;
  if (read.status == proxy_header_status::bad)
    refuse(c, read.why);
  else
    on_header(c, header);
  forget(c);
  return is_input_over(c) ? std::span<std::byte>{} : bytes.subspan(read.bytes - before);
}

void proxied_input::on_header(connection& c, const proxy_header& header) {
  if (header.source == proxy_header::family::none) return; // the proxy itself
  const socket_address client = address_of(header);
  const admission_verdict judged = with_.peers.set_client(c, client);
  if (judged.is_admitted()) return;
  with_.counters.count(judged.why());
  log_refusal(judged.why(), client);
  // A TLS handshake is too much to pay for a refusal.
  if (c.encrypted)
    with_.closing.end(c, c.close_code, judged.sentence());
  else if (judged.retry_after_s != 0)
    with_.http.refuse_for_now(c, judged.sentence(), judged.retry_after_s);
  else
    with_.http.refuse_request(c, http_status::service_unavailable, judged.sentence());
}

void proxied_input::refuse(connection& c, std::string_view why) {
  with_.counters.count(refusal::proxy_header);
  log_refusal(refusal::proxy_header, c.socket);
  log_debug("not by the PROXY protocol: {}", why);
  with_.closing.end(c, c.close_code, why);
}

} // namespace ringcast::engine
