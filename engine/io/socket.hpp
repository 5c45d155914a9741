// The plain system calls on sockets that the engine makes beside its ring: at start, for large messages, and to end a
// connection. Each is one call without waiting. Results: a count or descriptor, or a negated errno.
#pragma once

#include <ringcast/address.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/socket.h>

namespace ringcast::engine {

// "ADDR:PORT", "[IPV6]:PORT" with numeric addresses, ":PORT" and "*:PORT" (every address that there is, [::] unless there is no IPv6), "unix:/path", "unix:@name" (abstract, unix(7)); the error is a sentence that quotes the text.
std::expected<socket_address, std::string> parse_address(std::string_view text);

// The address that a numeric host is, IPv4 or IPv6 without brackets.
[[nodiscard]] std::optional<socket_address> numeric_address(std::string_view host, std::uint16_t port);

// Until when an address that is in use is tried again: the kernel takes a moment to let go of the listeners of a process that was killed,
// because they belong to its ring. The default does not wait.
using patience_end = std::chrono::steady_clock::time_point;

// [::] takes connections by IPv4, too, unless somebody is to listen on 0.0.0.0 at the same port (ipv6(7), IPV6_V6ONLY).
enum class ip_versions : std::uint8_t { own, both };
[[nodiscard]] bool is_every_address(const socket_address& address);

// A listening, non-blocking socket with SO_REUSEPORT, so that each shard has its own queue; TCP_NODELAY is inherited by
// what it accepts. Of a Unix socket there can be one, which the shards share (share_listener). A file that is left of one to which nobody
// listens any more is replaced.
std::expected<int, std::string> listen_on(const socket_address& address, int backlog, patience_end until = {}, ip_versions by = ip_versions::own);

// The same queue once more.
std::expected<int, std::string> share_listener(int listener);
// Of "fd:N", a listening socket that this process was started with, or has opened itself: the same queue once more, non-blocking. N stays
// the program's.
std::expected<int, std::string> inherited_listener(std::string_view text);

// A Unix socket's file, which is removed by who made it, unless somebody else has put another one there.
struct socket_file {
  std::string path;
  std::uint64_t device = 0, inode = 0;
};
// Nothing for other addresses, and for abstract names.
[[nodiscard]] std::optional<socket_file> socket_file_of(const socket_address& address);
void remove_socket_file(const socket_file& file) noexcept;

// Fails if something else listens there already, which SO_REUSEPORT alone would not show.
std::expected<void, std::string> check_port_is_free(const socket_address& address, patience_end until = {}, ip_versions by = ip_versions::own);

socket_address local_address_of(int socket);
// One that came by IPv4 to an IPv6 socket is an IPv4 address.
socket_address peer_address_of(int socket);

// A socket to connect to that address, with TCP_NODELAY; or errno.
std::expected<int, int> open_client_socket(const socket_address& to);

std::ptrdiff_t receive_now(int socket, std::span<std::byte> into);
std::ptrdiff_t send_now(int socket, std::span<const std::byte> bytes);
void shut_down_writing(int socket);
void shut_down(int socket);
// Bytes that were handed to TCP and that the peer has not acknowledged.
[[nodiscard]] std::size_t unsent_bytes(int socket);
// Closing the socket from now on drops what it has not sent and resets the connection.
void reset_when_closed(int socket);
// Bounds how long sent bytes may stay without an acknowledgement (TCP_USER_TIMEOUT), which finds a dead peer even when
// data is queued.
void set_user_timeout(int socket, unsigned milliseconds);
int accept_now(int listener);
void close_now(int descriptor);

} // namespace ringcast::engine
