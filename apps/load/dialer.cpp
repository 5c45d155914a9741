#include "apps/load/dialer.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <fstream>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

namespace ringcast::load {

using namespace engine;

namespace {

// How many ports one source address has for one destination.
unsigned ports_per_address() {
  unsigned first = 32'768; // The kernel's defaults.
  unsigned last = 60'999;
  std::ifstream{"/proc/sys/net/ipv4/ip_local_port_range"} >> first >> last;
  return std::max(1U, last - first + 1);
}

// As browsers offer it.
constexpr deflate_offer offer{};

std::string with_number(std::string text, unsigned ordinal) {
  for (std::size_t at = text.find("{i}"); at != std::string::npos; at = text.find("{i}", at)) text.replace(at, 3, std::to_string(ordinal));
  return text;
}

} // namespace

std::expected<void, std::string> dialer::prepare(unsigned connections) {
  std::string why;
  if (!resolve(to_.server.host, to_.server.port, false, server_, why)) {
    return std::unexpected{fmt::format("{} has no address: {}", to_.server.host, why)};
  }
  std::vector<std::string> names = to_.source_addresses;
  const std::uint64_t ports = ports_per_address();
  // On loopback every 127.x.y.z is ours, so more ports are one address further.
  const auto* as_ipv4 = reinterpret_cast<const sockaddr_in*>(&server_.bytes);
  if (names.empty() && server_.bytes.ss_family == AF_INET && (ntohl(as_ipv4->sin_addr.s_addr) >> 24) == 127) {
    const std::uint64_t per_address = std::max<std::uint64_t>(1, ports / 3 * 2); // Others hold ports, too.
    const std::uint64_t needed = connections / per_address + 1 + (connections > 1000 ? 7 : 0);
    for (std::uint64_t i = 1; i <= std::max<std::uint64_t>(needed, to_.source_addresses_min); ++i) names.push_back(fmt::format("127.0.0.{}", i));
  }
  for (const std::string& name : names) {
    address source;
    if (!resolve(name, 0, true, source, why)) return std::unexpected{fmt::format("the source address {} cannot be used: {}", name, why)};
    if (source.bytes.ss_family != server_.bytes.ss_family) {
      return std::unexpected{fmt::format("the source address {} is of another family than the server's", name)};
    }
    sources_.push_back(source);
  }
  if (!sources_.empty() && connections > ports * sources_.size()) {
    return std::unexpected{fmt::format("{} connections need more ports than the {} of {} source address{}; give more "
                                       "--source-addresses, or widen net.ipv4.ip_local_port_range (tools/tune)",
                                       connections, ports * sources_.size(), sources_.size(), sources_.size() == 1 ? "" : "es")};
  }
  for (const std::string& name : to_.subprotocols) subprotocols_.push_back(name);
  if (to_.server.scheme == url_scheme::wss) {
    auto loaded = tls_context::shared_client(
        {.ca_file = to_.tls_ca_file, .verification = to_.tls_insecure ? tls_verification::off_and_insecure : tls_verification::on});
    if (!loaded) return std::unexpected{loaded.error()};
    tls_ = std::move(*loaded);
  }
  // What the request cannot carry is said here once; the sample key of RFC 6455 section 1.3 stands for all of them.
  std::array<char, 16384> probe{};
  const auto written =
      write_upgrade_request(probe, {.host = "localhost", .target = "/", .key = "dGhlIHNhbXBsZSBub25jZQ==", .subprotocols = subprotocols_});
  if (!written) return std::unexpected{fmt::format("--subprotocol: {}", written.error())};
  return {};
}

bool dialer::resolve(const std::string& host, std::uint16_t port, bool numeric, address& out, std::string& why) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (numeric ? AI_NUMERICHOST : 0);
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found); error != 0) {
    why = ::gai_strerror(error);
    return false;
  }
  std::memcpy(&out.bytes, found->ai_addr, found->ai_addrlen);
  out.length = found->ai_addrlen;
  ::freeaddrinfo(found);
  return true;
}

std::expected<int, std::string> dialer::dial(unsigned ordinal) {
  const int fd = ::socket(server_.bytes.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return std::unexpected{fmt::format("no socket for connection {}: {}", ordinal, std::strerror(errno))};
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (!sources_.empty()) {
    // The port is chosen at connect(), when the whole four-tuple is known, so that ports are shared between
    // destinations.
    ::setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    const address& source = sources_[ordinal % sources_.size()];
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&source.bytes), source.length) != 0) {
      const int why = errno;
      ::close(fd);
      return std::unexpected{fmt::format("cannot connect from {}: {}",
                                         to_.source_addresses.empty() ? "127.0.0." + std::to_string(ordinal % sources_.size() + 1)
                                                                      : to_.source_addresses[ordinal % sources_.size()],
                                         std::strerror(why))};
    }
  }
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&server_.bytes), server_.length) != 0 && errno != EINPROGRESS) {
    const int why = errno;
    ::close(fd);
    if (why == EADDRNOTAVAIL) {
      return std::unexpected{fmt::format("no local port is left for connection {}; give more --source-addresses", ordinal)};
    }
    return std::unexpected{fmt::format("cannot connect to {}: {}", where(), std::strerror(why))};
  }
  return fd;
}

std::string dialer::target_of(unsigned ordinal) const {
  std::string target = with_number(to_.server.target, ordinal);
  // A chat needs names; they differ unless the URL brings one.
  if (to_.names && target.find("name=") == std::string::npos) {
    target += fmt::format("{}name=load{}", target.contains('?') ? '&' : '?', ordinal);
  }
  return target;
}

std::string dialer::stream_request(unsigned ordinal, std::string_view last_event_id) const {
  std::string out = fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\nCache-Control: no-store\r\n", target_of(ordinal),
                                to_.server.host_field());
  if (const std::string authorization = to_.server.basic_authorization(); !authorization.empty())
    out += fmt::format("Authorization: {}\r\n", authorization);
  if (!last_event_id.empty()) out += fmt::format("Last-Event-ID: {}\r\n", last_event_id);
  return out + "\r\n";
}

std::string dialer::request(unsigned ordinal, const websocket_key& key, std::string_view more_query) const {
  std::string target = target_of(ordinal);
  if (!more_query.empty()) target += fmt::format("{}{}", target.contains('?') ? '&' : '?', more_query);
  const std::string host = to_.server.host_field();
  const std::string authorization = to_.server.basic_authorization();
  const http_header header{"Authorization", authorization};
  upgrade_request wanted{.host = host, .target = target, .key = {key.data(), key.size()}, .subprotocols = subprotocols_};
  const extension_text extensions = write_deflate_offer(offer);
  if (to_.compression) wanted.extensions = extensions.view();
  if (!authorization.empty()) wanted.headers = {&header, 1};
  std::string out(upgrade_request_bytes_max(wanted), '\0');
  const auto written = write_upgrade_request(out, wanted);
  out.resize(written.value_or(0));
  return out;
}

std::expected<dialer::stream_opening, std::string> dialer::check_stream(std::span<const std::byte> answer) const {
  static thread_local response_head head;
  const head_result parsed = parse_response_head(answer, {}, head);
  if (parsed.status == head_status::need_more) return stream_opening{};
  if (parsed.status == head_status::bad) return std::unexpected{fmt::format("{} does not answer in HTTP: {}", where(), parsed.why)};
  if (head.status_code != 200)
    return std::unexpected{fmt::format("{} refuses {} as an event stream: {} {}", where(), to_.server.target, head.status_code, head.reason)};
  if (!head.header("Content-Type").starts_with("text/event-stream"))
    return std::unexpected{fmt::format("{} answers with {}, not text/event-stream", where(), head.header("Content-Type"))};
  const std::string_view coding = head.header("Transfer-Encoding");
  if (!coding.empty() && !equal_ignoring_case(coding, "chunked")) return std::unexpected{fmt::format("{} answers in {}", where(), coding)};
  return stream_opening{.head_bytes = head.head_bytes, .chunked = !coding.empty()};
}

std::expected<dialer::opening, std::string> dialer::check(std::span<const std::byte> answer, const websocket_key& key) const {
  static thread_local response_head head;
  const head_result parsed = parse_response_head(answer, {}, head);
  if (parsed.status == head_status::need_more) return opening{};
  if (parsed.status == head_status::bad) return std::unexpected{fmt::format("{} does not answer in HTTP: {}", where(), parsed.why)};
  const auto accepted = check_upgrade_response(head, {key.data(), key.size()}, subprotocols_, to_.compression ? &offer : nullptr);
  if (accepted) return opening{.head_bytes = head.head_bytes, .deflate = accepted->deflate};
  if (accepted.error().error == handshake_error::wrong_status) {
    return std::unexpected{fmt::format("{} refuses the upgrade of {}: {} {}", where(), to_.server.target, head.status_code, head.reason)};
  }
  return std::unexpected{fmt::format("{} answers the upgrade wrongly: {}", where(), accepted.error().why)};
}

} // namespace ringcast::load
