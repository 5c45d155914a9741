#include "apps/load/slices/idle.hpp"

#include <chrono>
#include <fmt/format.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include "apps/load/process_usage.hpp"
#include "apps/load/slices/connect.hpp"

namespace ringcast::load::slices {

using namespace engine;
namespace {

constexpr unsigned first_connections = 100;

// Half a second for the server to take notice of what opened or closed, and to tidy up.
void settle() { std::this_thread::sleep_for(std::chrono::milliseconds{500}); }

void close_all(const std::vector<open_connection>& opened) {
  for (const open_connection& each : opened) ::close(each.fd);
}

} // namespace

std::expected<nlohmann::json, std::string> run_idle(const options& chosen) {
  auto request_of = [&](unsigned) -> request { return {.path = chosen.raw ? std::string{} : chosen.idle_path}; };
  auto first = open_connections(chosen, first_connections, request_of);
  if (!first) return std::unexpected{first.error()};
  close_all(*first);
  settle();
  const memory_use before = memory_of(chosen.server_pid);
  if (before.private_bytes == 0) return std::unexpected{fmt::format("cannot read the memory of pid {}", chosen.server_pid)};
  auto opened = open_connections(chosen, chosen.connections, request_of);
  if (!opened) return std::unexpected{opened.error()};
  settle();
  const memory_use after = memory_of(chosen.server_pid);
  if (after.private_bytes == 0) return std::unexpected{fmt::format("cannot read the memory of pid {}", chosen.server_pid)};

  // Memory of a server that threw connections out would look good.
  unsigned closed = 0;
  for (const open_connection& each : *opened) {
    char byte = 0;
    if (::recv(each.fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0) ++closed;
  }
  close_all(*opened);
  if (closed) return std::unexpected{std::to_string(closed) + " idle connections were closed by the server"};

  auto count = static_cast<double>(chosen.connections);
  nlohmann::json out;
  out["connections"] = chosen.connections;
  out["private_bytes_before"] = before.private_bytes;
  out["private_bytes_after"] = after.private_bytes;
  out["bytes_per_connection"] = static_cast<double>(after.private_bytes - before.private_bytes) / count;
  out["anonymous_bytes_per_connection"] = static_cast<double>(after.anonymous_bytes - before.anonymous_bytes) / count;
  return out;
}

} // namespace ringcast::load::slices
