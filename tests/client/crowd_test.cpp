// Many clients on one thread, and all of them losing their server at once. By hand with more of them:
//   RINGCAST_CROWD=10000 RINGCAST_CROWD_URL=ws://127.0.0.1:PORT/echo client_tests --run_test=crowd/one_thread*
//   RINGCAST_STORM=5000 client_tests --run_test=crowd/a_storm*
#include <ringcast/client.hpp>
#include <ringcast/client_loop.hpp>
#include <ringcast/server.hpp>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstdlib>
#include <fmt/format.h>
#include <fstream>
#include <memory>
#include <sys/resource.h>
#include <thread>
#include <vector>

using namespace ringcast;
using namespace std::chrono_literals;

namespace {

std::size_t number_from(const char* variable, std::size_t otherwise) {
  const char* text = std::getenv(variable);
  return text != nullptr ? static_cast<std::size_t>(std::atoll(text)) : otherwise;
}

void raise_descriptor_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

std::size_t resident_bytes() {
  std::size_t pages = 0, resident = 0;
  std::ifstream{"/proc/self/statm"} >> pages >> resident;
  return resident * 4096;
}

std::unique_ptr<server> echo_server(std::string listen) {
  auto own = std::make_unique<server>(server_options{.listen = {std::move(listen)}, .shards = 1});
  own->routes().add("/echo", websocket_endpoint{.on_message = [](websocket_ref ws, const message_view& m) { ws.send(m); }});
  const auto started = own->start();
  BOOST_REQUIRE_MESSAGE(started, (started ? "" : started.error().why));
  return own;
}

bool wait_until(const std::atomic<std::size_t>& value, std::size_t wanted, std::chrono::milliseconds timeout) {
  const auto end = std::chrono::steady_clock::now() + timeout;
  while (value < wanted && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(1ms);
  return value >= wanted;
}

auto ms_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin).count();
}

} // namespace

BOOST_AUTO_TEST_SUITE(crowd)

BOOST_AUTO_TEST_CASE(one_thread_runs_them_all) {
  raise_descriptor_limit();
  const std::size_t count = number_from("RINGCAST_CROWD", 1'000);
  const char* elsewhere = std::getenv("RINGCAST_CROWD_URL");
  std::unique_ptr<server> own;
  if (elsewhere == nullptr) own = echo_server("127.0.0.1:0");
  const std::string url = elsewhere != nullptr ? elsewhere : fmt::format("ws://{}/echo", own->addresses().front());
  client_loop loop;
  std::atomic<std::size_t> open{0}, echoed{0}, lost{0};
  std::vector<std::unique_ptr<client>> clients;
  const std::size_t before = resident_bytes();
  const auto begin = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < count; ++i) {
    auto& c = *clients.emplace_back(std::make_unique<client>(url, client_options{}, loop));
    c.on_open([&] { ++open; });
    c.on_message([&](const message_view&) { ++echoed; });
    c.on_disconnected([&](std::uint16_t, std::string_view) { ++lost; });
    c.start();
  }
  BOOST_REQUIRE(wait_until(open, count, 50s));
  const auto open_ms = ms_since(begin);
  const std::size_t idle = resident_bytes() - before;
  const auto echo_begin = std::chrono::steady_clock::now();
  for (auto& c : clients) BOOST_TEST((c->send_text("hello from one of many") == send_status::queued));
  BOOST_REQUIRE(wait_until(echoed, count, 30s));
  BOOST_TEST(lost == 0u);
  BOOST_TEST_MESSAGE(fmt::format("{} clients open after {} ms, {} bytes each{}, all echoed after {} ms", count, open_ms, idle / count,
                                 own ? " with the server's" : "", ms_since(echo_begin)));
}

BOOST_AUTO_TEST_CASE(a_storm_comes_back_within_its_spread) {
  raise_descriptor_limit();
  const std::size_t count = number_from("RINGCAST_STORM", 300);
  auto own = echo_server("127.0.0.1:0");
  const std::string address = own->addresses().front();
  client_loop loop;
  std::atomic<std::size_t> open{0}, lost{0}, back{0};
  constexpr auto spread = 1000ms;
  std::vector<std::unique_ptr<client>> clients;
  for (std::size_t i = 0; i < count; ++i) {
    auto& c = *clients.emplace_back(std::make_unique<client>(fmt::format("ws://{}/echo", address),
                                                             client_options{.reconnect = {.initial_delay = spread, .max_delay = spread}}, loop));
    c.on_open([&] { ++open; });
    c.on_disconnected([&](std::uint16_t, std::string_view) { ++lost; });
    c.on_reconnected([&] { ++back; });
    c.start();
  }
  BOOST_REQUIRE(wait_until(open, count, 50s));
  own.reset();
  BOOST_REQUIRE(wait_until(lost, count, 10s));
  own = echo_server(address);
  const auto begin = std::chrono::steady_clock::now();
  // Gated on the count; the time is only told, because this machine may be busy with something else.
  BOOST_REQUIRE(wait_until(back, count, 60s));
  const auto took_ms = ms_since(begin);
  BOOST_TEST(lost == count);
  BOOST_TEST_MESSAGE(fmt::format("{} clients back {} ms after the server was, with a spread of {} ms", count, took_ms, spread.count()));
  clients.clear();
}

BOOST_AUTO_TEST_SUITE_END()
