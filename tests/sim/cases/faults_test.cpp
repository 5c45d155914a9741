// Each fault can be switched on alone, really happens, and never costs a byte; and one seed is one run.
#include "tests/sim/kernel/kernel.hpp"
#include "tests/sim/rigs/conformance_rig.hpp"

#include <boost/test/unit_test.hpp>

using namespace ringcast;
using namespace ringcast::engine;
using namespace ringcast::sim;

namespace {

struct outcome {
  std::string received;
  std::string log; // each completion, in order
  std::map<std::string, std::uint64_t> happened;
};

// A client sends 20,000 bytes through a ring that echoes nothing: it only receives, and re-arms as it must.
outcome receive_all(std::uint64_t seed, const fault_plan& faults, const machine& host = {}) {
  kernel world(seed, faults, host);
  outcome found;
  rig r(256);
  const auto pair = r.connect_pair();
  r.provide_ring(8, 512, true);
  const bool incremental = r.uring->features().incremental_buffers;
  for (std::uint16_t id = 0; id < 8; ++id) r.provide(id);
  std::size_t used[8] = {};
  std::string content;
  for (int i = 0; i < 20'000; ++i) content.push_back(static_cast<char>('a' + i % 23));
  std::size_t sent = 0;
  bool armed = false;
  for (int turn = 0; turn < 20'000 && found.received.size() < content.size(); ++turn) {
    if (sent < content.size()) {
      const auto more = send_now(pair.client, std::as_bytes(std::span{content.data() + sent, content.size() - sent}));
      if (more > 0) sent += static_cast<std::size_t>(more);
    }
    if (!armed) r.uring->arm_receive(tag(operation::receive), pair.server, 3);
    armed = true;
    r.uring->submit_and_wait({.timeout_ns = 1'000'000});
    for (const completion& done : r.ready()) {
      found.log += fmt::format("{}{} ", done.result, done.more ? "+" : ".");
      if (!done.more) armed = false;
      if (!done.has_buffer) continue;
      found.received += r.text(done, used[done.buffer_id]);
      used[done.buffer_id] += static_cast<std::size_t>(done.result);
      if (incremental && done.buffer_continues) continue;
      used[done.buffer_id] = 0;
      r.provide(done.buffer_id);
    }
    if (const auto next = world.next_event_ns()) world.advance_to(*next);
  }
  BOOST_TEST((found.received == content));
  found.happened = world.happened;
  return found;
}

machine small_machine() {
  machine host;
  host.send_bytes_max = host.receive_bytes_max = 5000;
  return host;
}

} // namespace

BOOST_AUTO_TEST_SUITE(faults)

BOOST_AUTO_TEST_CASE(without_faults_nothing_rare_happens_by_chance) {
  const outcome found = receive_all(1, {}, small_machine());
  BOOST_TEST(found.happened.count("multishot ends") == 0u);
  BOOST_TEST(found.happened.count("no buffers although there are some") == 0u);
}

BOOST_AUTO_TEST_CASE(one_seed_is_one_run) {
  random_source chance(5);
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    fault_plan plan = draw_faults(chance);
    plan.reset = 0;
    plan.no_descriptors = 0;
    const machine host = draw_machine(chance);
    BOOST_TEST(receive_all(seed, plan, host).log == receive_all(seed, plan, host).log);
  }
}

BOOST_AUTO_TEST_CASE(a_multishot_ends_for_no_reason) {
  BOOST_TEST(receive_all(1, {.multishot_ends = 0.5}, small_machine()).happened["multishot ends"] > 0u);
}

BOOST_AUTO_TEST_CASE(buffers_run_out_although_some_are_there) {
  BOOST_TEST(receive_all(1, {.no_buffers = 0.9}).happened["no buffers although there are some"] > 0u);
}

BOOST_AUTO_TEST_CASE(bytes_arrive_in_any_pieces) {
  const auto pieces = [](const outcome& found) { return std::ranges::count(found.log, ' '); };
  const machine host = small_machine();
  BOOST_TEST(pieces(receive_all(1, {.split_delivery = 1}, host)) > pieces(receive_all(1, {}, host)));
}

BOOST_AUTO_TEST_CASE(deliveries_are_slow) { BOOST_TEST(receive_all(1, {.slow_delivery = 0.5}, small_machine()).happened["slow delivery"] > 0u); }

BOOST_AUTO_TEST_CASE(sends_are_short_though_there_is_room) {
  kernel world(1, {.short_send = 1});
  rig r;
  const auto pair = r.connect_pair();
  int failed = 0;
  std::size_t taken = 0;
  for (int i = 0; i < 100; ++i) {
    r.uring->send_inline(tag(operation::inline_send), pair.server, "0123456789", 10);
    r.uring->submit();
    for (const completion& done : r.ready()) {
      ++failed;
      if (done.result > 0) taken += static_cast<std::size_t>(done.result);
      BOOST_TEST(done.result < 10);
    }
  }
  BOOST_TEST(failed == 100);
  settle();
  BOOST_TEST(drain(pair.client) == taken);
}

BOOST_AUTO_TEST_CASE(an_ordinary_send_gets_through_short_ones) {
  kernel world(1, {.short_send = 0.7});
  rig r;
  const auto pair = r.connect_pair();
  std::string content(3000, 'x');
  iovec piece{content.data(), content.size()};
  msghdr header{};
  header.msg_iov = &piece;
  header.msg_iovlen = 1;
  r.uring->arm_send(tag(operation::send), pair.server, &header);
  std::size_t received = 0;
  std::vector<completion> done;
  for (int i = 0; i < 1000 && done.empty(); ++i) {
    done = r.all();
    settle();
    received += drain(pair.client);
  }
  BOOST_TEST_REQUIRE(done.size() == 1u);
  BOOST_TEST(done[0].result == 3000);
  BOOST_TEST(received == 3000u);
}

BOOST_AUTO_TEST_CASE(a_cancelled_operation_completes_late) {
  kernel world(1, {.late_cancel = 1});
  rig r;
  const auto pair = r.connect_pair();
  r.provide_ring(4, 64, false);
  r.provide(0);
  r.uring->arm_receive(tag(operation::receive), pair.server, 3);
  BOOST_TEST(r.all().empty());
  r.uring->arm_cancel(tag(operation::cancel), tag(operation::receive));
  auto done = r.all();
  BOOST_TEST_REQUIRE(done.size() == 1u);
  BOOST_TEST((done[0].tag.op == operation::cancel));
  settle();
  done = r.all();
  BOOST_TEST_REQUIRE(done.size() == 1u);
  BOOST_TEST(done[0].result == -ECANCELED);
}

BOOST_AUTO_TEST_CASE(connections_are_reset) {
  kernel world(1, {.reset = 1});
  rig r;
  const auto pair = r.connect_pair();
  say(pair.client, "x");
  settle();
  r.memory.resize(10);
  BOOST_TEST(receive_now(pair.server, r.memory) == -ECONNRESET);
  BOOST_TEST(send_now(pair.client, r.memory) == -ECONNRESET);
}

BOOST_AUTO_TEST_CASE(an_accept_finds_no_descriptor) {
  kernel world(1, {.no_descriptors = 1});
  rig r;
  r.connect_client();
  settle();
  BOOST_TEST(accept_now(r.listening) == -EMFILE);
  world.faults.no_descriptors = 0;
  const int accepted = accept_now(r.listening);
  BOOST_TEST(accepted >= 0);
  r.descriptors.push_back(accepted);
}

BOOST_AUTO_TEST_CASE(a_doorbell_is_heard_late) {
  kernel world(1, {.late_doorbell = 1});
  rig r;
  const int bell = eventfd(0, EFD_CLOEXEC);
  r.descriptors.push_back(bell);
  std::uint64_t value = 0;
  r.uring->arm_doorbell(tag(operation::doorbell), bell, &value);
  BOOST_TEST(r.all().empty());
  BOOST_TEST(eventfd_write(bell, 1) == 0);
  BOOST_TEST(r.all().empty());
  settle();
  BOOST_TEST(r.all().size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_wait_runs_little_of_the_pending_work) {
  kernel world(1, {.little_task_work = 1});
  rig r;
  r.provide_ring(32, 16, false);
  for (std::uint16_t id = 0; id < 32; ++id) r.provide(id);
  std::vector<int> clients;
  for (std::uint32_t i = 0; i < 20; ++i) {
    const auto pair = r.connect_pair();
    clients.push_back(pair.client);
    r.uring->arm_receive(tag(operation::receive, i), pair.server, 3);
  }
  BOOST_TEST(r.all().empty());
  for (const int client : clients) say(client, "x");
  settle();
  std::size_t rounds = 0, total = 0;
  for (; total < 20 && rounds < 100; ++rounds) {
    r.uring->submit_and_wait({.timeout_ns = 0});
    total += r.ready().size();
  }
  BOOST_TEST(total == 20u);
  BOOST_TEST(rounds > 1u);
}

BOOST_AUTO_TEST_CASE(a_wait_returns_at_once_and_says_when_it_would_end) {
  kernel world(1);
  rig r;
  const std::uint64_t before = world.now_ns();
  r.uring->submit_and_wait({.timeout_ns = 5'000'000});
  BOOST_TEST(world.now_ns() == before);
  BOOST_TEST_REQUIRE(world.next_event_ns().has_value());
  BOOST_TEST(*world.next_event_ns() == before + 5'000'000);
}

BOOST_AUTO_TEST_CASE(a_refused_ring_is_explained) {
  machine host;
  host.refuse_rings = EPERM;
  kernel world(1, {}, host);
  const auto refused = ring::open({});
  BOOST_TEST_REQUIRE(!refused.has_value());
  BOOST_TEST(refused.error().find("io_uring") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(scripted_peers_connect_to_the_engine_and_are_connected_to) {
  kernel world(1);
  rig r;
  remote peer = world.connect(local_address_of(r.listening).port());
  BOOST_TEST_REQUIRE(peer.is_open());
  settle();
  const int accepted = accept_now(r.listening);
  BOOST_TEST_REQUIRE(accepted >= 0);
  r.descriptors.push_back(accepted);
  say(accepted, "hi");
  settle();
  std::byte into[10];
  BOOST_TEST(peer.read(into) == 2);

  const auto there = world.listen(443);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(443);
  const int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  r.descriptors.push_back(client);
  r.uring->arm_connect(tag(operation::connect), client, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  BOOST_TEST(r.all().empty());
  settle();
  const auto done = r.all();
  BOOST_TEST_REQUIRE(done.size() == 1u);
  BOOST_TEST(done[0].result == 0);
  BOOST_TEST(kernel::accept(*there).has_value());
}

BOOST_AUTO_TEST_SUITE_END()
