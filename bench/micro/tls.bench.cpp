// What TLS costs without the kernel: handshakes, records of several sizes, and the memory of an idle connection. Client
// and server run in one thread; where a figure is the server's, only its calls are timed.
#include "engine/tls/tls_session.hpp"
#include "proto/byte_buffer.hpp"
#include "tests/tls/certificates.hpp"

#include <benchmark/benchmark.h>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <vector>

namespace ringcast {

using namespace engine;
namespace {

using clock = std::chrono::steady_clock;

std::shared_ptr<const tls_context> server_side(const char* name) {
  const auto& made = test::test_certificates();
  auto loaded = tls_context::load_server({.certificates = {{made.pem(name), made.key(name), {}}}});
  if (!loaded) std::abort();
  return *loaded;
}
std::shared_ptr<const tls_context> client_side() {
  auto loaded = tls_context::load_client({.ca_file = test::test_certificates().pem("ca")});
  if (!loaded) std::abort();
  return *loaded;
}

struct pair {
  std::unique_ptr<tls_session> client;
  std::unique_ptr<tls_session> server;
  byte_buffer to_server, to_client;
  std::chrono::duration<double> server_time{};

  pair(const std::shared_ptr<const tls_context>& from, const std::shared_ptr<const tls_context>& to, tls_scratch& scratch,
       const tls_ticket& ticket = {})
      : client{new tls_session{to, "localhost", ticket}} {
    client->start(to_server);
    const auto start = clock::now();
    server = std::make_unique<tls_session>(from);
    server_time += clock::now() - start;
    while (!to_server.empty() || !to_client.empty()) {
      const auto before = clock::now();
      server->feed(to_server.bytes(), scratch, to_client, [](auto) {});
      server_time += clock::now() - before;
      to_server.clear();
      client->feed(to_client.bytes(), scratch, to_server, [](auto) {});
      to_client.clear();
    }
    if (client->state() != tls_state::open || server->state() != tls_state::open) std::abort();
  }
};

void handshake(benchmark::State& state, const char* certificate, bool resumed) {
  const auto from = server_side(certificate);
  const auto to = client_side();
  const auto scratch = std::make_unique<tls_scratch>();
  const tls_ticket ticket = pair(from, to, *scratch).client->ticket();
  for (auto _ : state) {
    const pair made(from, to, *scratch, resumed ? ticket : tls_ticket{});
    if (made.server->agreement().resumed != resumed) std::abort();
    state.SetIterationTime(made.server_time.count());
  }
}
BENCHMARK_CAPTURE(handshake, p256_full, "localhost", false)->UseManualTime()->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(handshake, rsa2048_full, "rsa", false)->UseManualTime()->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(handshake, resumed, "localhost", true)->UseManualTime()->Unit(benchmark::kMicrosecond);

void encrypt(benchmark::State& state) {
  const auto scratch = std::make_unique<tls_scratch>();
  pair open(server_side("localhost"), client_side(), *scratch);
  const std::vector<std::byte> message(static_cast<std::size_t>(state.range(0)));
  const std::uint64_t calls = tls_library_allocations().calls;
  for (auto _ : state) {
    open.to_client.clear();
    open.server->write(message, *scratch, open.to_client);
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
  state.counters["library_allocations"] = static_cast<double>(tls_library_allocations().calls - calls) / static_cast<double>(state.iterations());
}
BENCHMARK(encrypt)->Arg(64)->Arg(1024)->Arg(16 * 1024)->Arg(1 << 20);

void decrypt(benchmark::State& state) {
  const auto scratch = std::make_unique<tls_scratch>();
  pair open(server_side("localhost"), client_side(), *scratch);
  const std::vector<std::byte> message(static_cast<std::size_t>(state.range(0)));
  const std::uint64_t calls = tls_library_allocations().calls;
  std::uint64_t client_calls = 0;
  std::size_t heard = 0;
  for (auto _ : state) {
    open.to_server.clear();
    const std::uint64_t before = tls_library_allocations().calls;
    open.client->write(message, *scratch, open.to_server);
    client_calls += tls_library_allocations().calls - before;
    const auto start = clock::now();
    open.server->feed(open.to_server.bytes(), *scratch, open.to_client, [&](auto plaintext) { heard += plaintext.size(); });
    state.SetIterationTime(std::chrono::duration<double>(clock::now() - start).count());
  }
  if (heard != message.size() * static_cast<std::size_t>(state.iterations())) std::abort();
  state.SetBytesProcessed(state.iterations() * state.range(0));
  state.counters["library_allocations"] =
      static_cast<double>(tls_library_allocations().calls - calls - client_calls) / static_cast<double>(state.iterations());
}
BENCHMARK(decrypt)->UseManualTime()->Arg(64)->Arg(1024)->Arg(16 * 1024)->Arg(1 << 20);

// Sixteen frames of 64 bytes: one by one, and as the frames of one loop turn.
void sixteen_frames(benchmark::State& state, bool together) {
  const auto scratch = std::make_unique<tls_scratch>();
  pair open(server_side("localhost"), client_side(), *scratch);
  const std::vector<std::byte> frame(64);
  const std::vector<std::span<const std::byte>> frames(16, frame);
  for (auto _ : state) {
    open.to_client.clear();
    if (together) {
      open.server->write(frames, *scratch, open.to_client);
    } else {
      for (const auto one : frames) open.server->write(one, *scratch, open.to_client);
    }
  }
  state.counters["wire_bytes"] = static_cast<double>(open.to_client.size());
}
BENCHMARK_CAPTURE(sixteen_frames, one_by_one, false);
BENCHMARK_CAPTURE(sixteen_frames, together, true);

void idle_server_session(benchmark::State& state, const char* certificate, bool resumed) {
  const auto from = server_side(certificate);
  const auto to = client_side();
  const auto scratch = std::make_unique<tls_scratch>();
  const tls_ticket ticket = pair(from, to, *scratch).client->ticket();
  constexpr int sessions = 200;
  for (auto _ : state) {
    const std::int64_t before = tls_library_allocations().live_bytes;
    std::vector<pair> open;
    for (int i = 0; i < sessions; ++i) {
      open.emplace_back(from, to, *scratch, resumed ? ticket : tls_ticket{});
      // A message each way, then rest; the client's half is given back, so that the server's alone is counted.
      pair& now = open.back();
      const std::vector<std::byte> message(1024);
      now.client->write(message, *scratch, now.to_server);
      now.server->feed(now.to_server.bytes(), *scratch, now.to_client, [](auto) {});
      now.server->write(message, *scratch, now.to_client);
      now.client.reset();
      now.to_server.release();
      now.to_client.release();
    }
    const auto held = static_cast<double>(tls_library_allocations().live_bytes - before) / sessions;
    state.counters["library_bytes"] = held;
    state.counters["total_bytes"] = held + sizeof(tls_session);
  }
}
BENCHMARK_CAPTURE(idle_server_session, full, "localhost", false)->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(idle_server_session, rsa, "rsa", false)->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(idle_server_session, resumed, "localhost", true)->Iterations(1)->Unit(benchmark::kMillisecond);

} // namespace
} // namespace ringcast
