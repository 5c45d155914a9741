// What a coroutine that is slow keeps: its messages, and not the buffers that they came in.
#include "engine/shard/shard.hpp"
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

using namespace ringcast;
using namespace ringcast::engine;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_SUITE(flow)

BOOST_AUTO_TEST_CASE(a_small_message_that_a_slow_coroutine_keeps_is_copied_out_of_its_receive_buffer) {
  std::atomic<std::size_t> leased{0}, held{0};
  std::atomic<int> kept{0}, right{0};
  std::atomic<bool> go_on{false};
  running server{[&](auto& s) {
                   s.get("/slow", [&](request& req) -> task<void> {
                     websocket ws = co_await req.upgrade();
                     while (auto message = co_await ws.receive()) {
                       ++kept;
                       while (!go_on) co_await sleep_for(2ms);
                       shard& here = *shard::current();
                       leased = std::max(leased.load(), here.buffers().leased_blocks());
                       held = std::max(held.load(), here.blocks().taken_bytes());
                       if (message->text() == std::string(message->payload.size(), 'k')) ++right;
                       co_await ws.send(*message);
                     }
                   });
                 },
                 {.shards = 1}};
  constexpr int count = 200;
  std::vector<std::unique_ptr<wire_client>> clients;
  for (int i = 0; i < count; ++i) {
    clients.push_back(std::make_unique<wire_client>(server.address()));
    (void)clients.back()->upgrade("/slow");
  }
  for (int round = 0; round < 2; ++round) {
    // First small ones; then some that are worth a lease, of which only so many are given.
    const std::string said(round == 0 ? 10 : 1500, 'k');
    leased = held = 0;
    kept = right = 0;
    go_on = false;
    for (auto& c : clients) {
      const int before = kept;
      c->send(opcode::text, said);
      while (kept == before) std::this_thread::sleep_for(1ms); // each alone in its buffer
    }
    go_on = true;
    for (auto& c : clients) BOOST_TEST((c->text() == said));
    BOOST_TEST(right == count);
    if (round == 0) BOOST_TEST(leased == 0u);
    BOOST_TEST(leased <= 256u);
    // The receive buffers of the shard are 512 KiB, and what it keeps for the turn as much again at most.
    if (round == 0) BOOST_TEST(held <= 1024u * 1024 + count * 512u);
  }
}

BOOST_AUTO_TEST_SUITE_END()
