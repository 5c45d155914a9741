// The memory ledger: what peers announce costs nothing, what they send is charged from every side, and above the bound those that hold the most
// are ended while the others go on.
#include "tests/sim/rigs/memory_rig.hpp"
#include <ringcast/ringcast.hpp>

#include <functional>

namespace ringcast::sim {

using namespace engine;

namespace {

constexpr std::uint64_t bound = 2u << 20;

task<void> never_receives(request& req) {
  websocket ws = co_await req.upgrade();
  while (ws.is_open()) co_await sleep_for(std::chrono::milliseconds(50));
}

struct side {
  const char* name;
  const char* target; // empty: HTTP
  std::function<void(memory_rig&, peer&)> fill;
  std::size_t each; // at least so much is held for one of them
};

const side sides[] = {
    {"a frame of which a part came", "/echo", [](memory_rig&, peer& p) { p.send_bytes(frame_beginning(1'000'000, 500'000)); }, 500'000},
    {"fragments of a message without an end", "/echo",
     [](memory_rig&, peer& p) {
       p.send_bytes(frame_beginning(100'000, 100'000, opcode::binary, false));
       for (int i = 0; i < 4; ++i) p.send_bytes(frame_beginning(100'000, 100'000, opcode::continuation, false));
     },
     500'000},
    {"half a body", "",
     [](memory_rig&, peer& p) {
       p.send_bytes("POST /rooms/a/messages HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + std::string(500'000, 'x'));
     },
     500'000},
    {"half a chunked body", "",
     [](memory_rig&, peer& p) {
       p.send_bytes("POST /rooms/a/messages HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000\r\n" + std::string(0x10000, 'x') +
                    "\r\n70000\r\n" + std::string(400'000, 'x'));
     },
     460'000},
    {"answers that are not read", "/echo",
     [](memory_rig& rig, peer& p) {
       rig.deaf.insert(&p);
       for (int i = 0; i < 3; ++i) p.send_message(opcode::binary, std::string(300'000, 'x'));
     },
     250'000},
    {"messages for a coroutine that does not receive", "/stuck",
     [](memory_rig&, peer& p) { p.send_message(opcode::binary, std::string(500'000, 'x')); }, 500'000},
};

} // namespace

BOOST_AUTO_TEST_SUITE(memory)

BOOST_AUTO_TEST_CASE(what_a_header_announces_costs_nothing) {
  memory_rig rig;
  const std::uint64_t before = rig.held();
  for (int i = 0; i < 200; ++i) {
    rig.add("/echo");
    if (i % 40 == 39) rig.run_for(20); // the listener's backlog is 64
  }
  rig.run_for(50);
  for (peer& p : rig.peers) p.send_bytes(frame_beginning(1'000'000, 10));
  rig.run_for(50);
  BOOST_TEST(rig.own().connection_count() == 200u);
  // The least block, and what a connection notes of its frame; the hot buffer and the turn's arenas belong to nobody.
  BOOST_TEST(rig.held() - before < 200 * (partial_bytes_min + 512) + 2 * large_receive_bytes);
  BOOST_TEST(rig.end().empty());
}

BOOST_AUTO_TEST_CASE(memory_follows_what_has_come_of_a_message) {
  memory_rig rig;
  peer& p = rig.add("/echo");
  std::size_t echoed = 0;
  p.on_message = [&](const peer_message& m) { echoed += m.payload.size(); };
  rig.run_for(50);
  const std::uint64_t before = rig.held();
  const std::string whole = frame_beginning(1'000'000, 1'000'000);
  constexpr std::size_t step = 10'000;
  for (std::size_t sent = 0; sent < whole.size(); sent += step) {
    // The rest comes at once.
    if (sent > 800'000) {
      p.send_bytes(whole.substr(sent));
      break;
    }
    p.send_bytes(whole.substr(sent, step));
    rig.run_for(3);
    // A hot buffer of the shard belongs to nobody.
    BOOST_TEST(rig.held() - before <= 2 * partial_growth * (sent + step) + partial_bytes_min + large_receive_bytes);
    BOOST_TEST(rig.held() - before >= sent);
  }
  rig.run_for(100);
  BOOST_TEST(echoed == 1'000'000u);
  BOOST_TEST(rig.end().empty());
}

BOOST_AUTO_TEST_CASE(every_byte_that_a_peer_makes_a_shard_hold_is_in_its_ledger) {
  for (const side& from : sides) {
    BOOST_TEST_CONTEXT(from.name) {
      memory_rig rig({}, [](server& s) { s.get("/stuck", never_receives); });
      const std::uint64_t before = rig.held();
      for (int i = 0; i < 3; ++i) rig.add(from.target);
      rig.run_for(50);
      for (peer& p : rig.peers) from.fill(rig, p);
      rig.run_for(300);
      BOOST_TEST(rig.held() - before >= 3 * from.each);
      for (peer& p : rig.peers) p.reset();
      rig.run_for(300);
      // What waits for a coroutine waits on after its connection: it is given to it before the end is.
      if (std::string_view{from.target} == "/stuck") continue;
      // One hot buffer and the turn's arena stay until the shard rests.
      BOOST_TEST(rig.held() <= before + 2 * large_receive_bytes);
      rig.run_for(5'000);
      BOOST_TEST(rig.held() <= before + 16 * 1024);
      BOOST_TEST(rig.own().blocks().kept_bytes() <= pool_bytes_at_rest);
      BOOST_TEST(rig.end().empty());
    }
  }
}

BOOST_AUTO_TEST_CASE(above_the_bound_those_that_hold_the_most_are_ended_and_the_others_go_on) {
  for (const side& from : sides) {
    BOOST_TEST_CONTEXT(from.name) {
      memory_rig rig({.memory_bytes = bound}, [](server& s) { s.get("/stuck", never_receives); });
      std::vector<peer*> small;
      std::size_t echoed = 0;
      for (int i = 0; i < 10; ++i) {
        small.push_back(&rig.add("/echo"));
        small.back()->on_message = [&](const peer_message&) { ++echoed; };
      }
      rig.run_for(50);
      // Each of these holds a little, too.
      for (peer* p : small) p->send_bytes(frame_beginning(3'000, 1'500));
      std::vector<peer*> large;
      int refused = 0;
      for (int i = 0; i < 16; ++i) {
        peer& p = rig.add(from.target);
        p.on_answer = [&](int status, std::string_view) { refused += status == 503; };
        rig.run_for(30);
        from.fill(rig, p);
        rig.run_for(100);
        large.push_back(&p);
        BOOST_TEST(rig.held() <= bound + 3 * (1u << 20));
      }
      rig.run_for(1'000);
      BOOST_TEST(rig.held() <= bound + large_receive_bytes + receive_buffers * receive_buffer_bytes);
      const std::uint64_t ended = rig.own().counters().ended_for_memory;
      BOOST_TEST(ended >= 4u);
      BOOST_TEST(ended < 16u);
      if (*from.target == '\0') BOOST_TEST(refused == static_cast<int>(ended));
      std::size_t told = 0;
      for (peer* p : large) told += p->close_code() == 1013;
      if (*from.target != '\0' && !rig.deaf.contains(large.front())) BOOST_TEST(told == ended);
      for (peer* p : small) p->send_bytes(std::string(1'500, 'x'));
      rig.run_for(100);
      BOOST_TEST(echoed == 10u);
      BOOST_TEST(rig.end().empty());
    }
  }
}

BOOST_AUTO_TEST_CASE(members_that_pin_a_rooms_log_are_charged_for_it) {
  memory_rig rig({.limits = {.message_bytes_max = 1u << 20, .send_queue_bytes_max = 4u << 20}, .memory_bytes = bound});
  std::vector<peer*> deaf;
  for (int i = 0; i < 3; ++i) {
    deaf.push_back(&rig.add(fmt::format("/broadcast/{}?self=0", i)));
    rig.deaf.insert(deaf.back());
  }
  std::vector<peer*> talkers;
  for (int i = 0; i < 3; ++i) talkers.push_back(&rig.add(fmt::format("/broadcast/{}", i)));
  for (peer* p : deaf) p->on_message = [](const peer_message&) {};
  // Those that do not read must have read their 101.
  rig.deaf.clear();
  rig.run_for(50);
  for (peer* p : deaf) rig.deaf.insert(p);
  for (int round = 0; round < 40; ++round) {
    for (peer* p : talkers) p->send_message(opcode::binary, std::string(50'000, 'x'));
    rig.run_for(20);
    BOOST_TEST(rig.held() <= 2 * bound + (1u << 20)); // the log stands in the same shard's blocks
  }
  BOOST_TEST(rig.own().counters().ended_for_memory >= 1u);
  for (peer* p : talkers) BOOST_TEST((p->now() == peer::state::open));
  BOOST_TEST(rig.end().empty());
}

BOOST_AUTO_TEST_CASE(a_peer_that_does_not_read_is_reset_when_the_grace_of_its_close_ends) {
  memory_rig rig({.limits = {.send_queue_bytes_max = 100'000, .close_timeout_ms = 500}});
  peer& deaf = rig.add("/broadcast/a");
  peer& talker = rig.add("/broadcast/a?self=0");
  rig.run_for(50);
  rig.deaf.insert(&deaf);
  for (int i = 0; i < 10; ++i) talker.send_message(opcode::binary, std::string(50'000, 'x'));
  rig.run_for(300);
  BOOST_TEST(rig.own().rooms().counters().members_closed_slow == 1u);
  BOOST_TEST(rig.own().connection_count() == 2u);
  rig.run_for(1'000);
  BOOST_TEST(rig.own().counters().resets == 1u);
  BOOST_TEST(rig.own().connection_count() == 1u);
  // The network is told at once: nothing of it waits in the kernel.
  BOOST_TEST((deaf.socket().end().readiness() & POLLERR) != 0);
  BOOST_TEST((talker.now() == peer::state::open));
  BOOST_TEST(rig.end().empty());
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace ringcast::sim
