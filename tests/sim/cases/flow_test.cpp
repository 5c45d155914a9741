// What one peer can make a shard hold or do: a peer that asks and never reads, and messages of which a few bytes unfold to a megabyte. The
// bounds are counted, in blocks that the shard holds and in bytes that it hands over in one turn.
#include "apps/ringcast-server/endpoints.hpp"
#include "engine/connection/compressor.hpp"
#include "proto/frame_writer.hpp"
#include "tests/sim/rigs/engine_world.hpp"
#include "tests/sim/rigs/peer.hpp"
#include <ringcast/ringcast.hpp>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <list>
#include <utility>

namespace ringcast::sim {

using namespace engine;

namespace {

// Sockets of a usual size, so that what is held is held by the server.
constexpr machine small_sockets{.send_bytes_min = 1u << 16, .send_bytes_max = 1u << 16, .receive_bytes_min = 1u << 16, .receive_bytes_max = 1u << 16};

std::string masked(opcode op, std::string_view payload, bool compressed = false) {
  std::string frame(payload.size() + 14, '\0');
  auto* out = reinterpret_cast<std::byte*>(frame.data());
  const std::size_t header = write_masked_frame_header(out, op, payload.size(), 0, true, compressed); // a key of zeros changes nothing
  std::copy(payload.begin(), payload.end(), frame.begin() + static_cast<std::ptrdiff_t>(header));
  frame.resize(header + payload.size());
  return frame;
}

std::string repeated(std::string_view what, std::size_t bytes) {
  std::string all;
  while (all.size() < bytes) all += what;
  return all;
}

// A frame of about a kilobyte that inflates to the largest message.
const std::string& bomb() {
  static const std::string frame = [] {
    const std::string zeros(1u << 20, 'a');
    std::vector<std::byte> out(deflate_message_bound(zeros.size()));
    compressor with;
    const auto bytes = with.deflate(std::as_bytes(std::span{zeros}), out, 1, 15);
    return masked(opcode::text, {reinterpret_cast<const char*>(out.data()), bytes.value()}, true);
  }();
  return frame;
}

// The ways in which a coroutine answers.
task<void> sends_back(request& req) {
  websocket ws = co_await req.upgrade();
  while (const auto said = co_await ws.receive()) co_await ws.send(*said);
}

task<void> sends_back_in_parts(request& req) {
  websocket ws = co_await req.upgrade();
  std::byte part[512];
  while (const auto said = co_await ws.receive_into(part)) co_await ws.send_binary(std::span{part}.first(said->bytes));
}

task<void> tries_to_send_back(request& req) {
  websocket ws = co_await req.upgrade();
  while (const auto said = co_await ws.receive()) (void)ws.try_send(*said);
}

task<void> sends_back_from_the_sender(request& req) {
  auto [out, in] = (co_await req.upgrade()).split();
  while (const auto said = co_await in.receive()) (void)out.send(said->op, said->payload);
}

task<void> answers_pings_itself(request& req) {
  websocket ws = co_await req.upgrade({.answer_pings = false});
  while (const auto said = co_await ws.receive_frame())
    if (said->op == opcode::ping) co_await ws.pong(said->text());
}

void add_answering_routes(server& s) {
  add_endpoints(s);
  s.get("/sends", sends_back);
  s.get("/parts", sends_back_in_parts);
  s.get("/tries", tries_to_send_back);
  s.get("/split", sends_back_from_the_sender);
  s.get("/pongs", answers_pings_itself);
}

struct flow {
  kernel world;
  engine_world engine;
  std::list<peer> peers;
  std::size_t most = 0; // bytes in blocks, of all shards

  explicit flow(std::uint32_t shards = 1, const machine& m = small_sockets)
      : world(1, {}, m), engine(world, {.shards = shards, .routes = add_answering_routes}) {}

  peer& come() {
    peer& p = peers.emplace_back(world);
    BOOST_REQUIRE(p.connect(engine_world::port));
    return p;
  }
  peer& open(std::string_view target, bool deflates = false) {
    peer& p = come();
    if (deflates) p.offers.emplace();
    p.ask_for_websocket(target);
    for (int i = 0; i < 200 && p.now() != peer::state::open; ++i) go(p, true);
    BOOST_REQUIRE((p.now() == peer::state::open));
    if (deflates) BOOST_REQUIRE(p.compresses());
    return p;
  }
  void go(peer& p, bool reads) {
    p.act(reads);
    engine.step();
    std::size_t held = 0;
    for (std::uint32_t i = 0; i < engine.shard_count(); ++i) held += engine.at(i).blocks().taken_bytes();
    most = std::max(most, held);
    (void)world.sleep(1'000'000);
  }
  void end() {
    for (peer& p : peers) p.close();
    engine.begin_stop();
    for (int i = 0; i < 5000 && !engine.has_stopped(); ++i) {
      engine.step();
      (void)world.sleep();
    }
    BOOST_TEST(engine.has_stopped());
    for (const std::string& left : engine.remains()) BOOST_TEST(left == "");
  }
};

// How much more the shard holds at the worst while `p` writes all that and reads nothing, and whether it was stopped in the middle.
void never_reads(flow& f, peer& p, const std::string& asks, std::size_t bytes_max) {
  const std::size_t before = f.most = f.engine.at(0).blocks().taken_bytes();
  p.send_bytes(asks);
  for (int i = 0; i < 1500; ++i) f.go(p, false);
  BOOST_TEST(f.most - before <= bytes_max);
  BOOST_TEST_MESSAGE("held at most " << f.most - before << " bytes, unsent " << p.has_unsent());
  BOOST_TEST(p.has_unsent()); // TCP pushes back
}

constexpr std::size_t held_max = 3u << 20;

} // namespace

BOOST_AUTO_TEST_SUITE(flow_of_one_peer)

BOOST_AUTO_TEST_CASE(a_peer_that_never_reads_is_not_read_whatever_it_asks_for) {
  const std::string post = "POST /rooms/r/messages HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\nhi";
  for (const std::string_view ask :
       {std::string_view{"GET / HTTP/1.1\r\nHost: t\r\n\r\n"}, std::string_view{"GET /rooms HTTP/1.1\r\nHost: t\r\n\r\n"},
        std::string_view{"GET /none HTTP/1.1\r\nHost: t\r\n\r\n"}, std::string_view{post}}) {
    BOOST_TEST_CONTEXT(ask) {
      flow f;
      if (ask.starts_with("GET /rooms"))
        for (int i = 0; i < 40; ++i) (void)f.open("/broadcast/" + std::string(100, 'r') + std::to_string(i));
      never_reads(f, f.come(), repeated(ask, 5u << 20), held_max);
      f.end();
    }
  }
  for (const std::string& frame : {masked(opcode::text, "hello"), masked(opcode::binary, std::string(1000, 'x')),
                                   masked(opcode::binary, std::string(100'000, 'x')), masked(opcode::ping, std::string(125, 'p'))}) {
    BOOST_TEST_CONTEXT("frames of " << frame.size() << " bytes") {
      flow f;
      never_reads(f, f.open("/echo"), repeated(frame, 5u << 20), held_max);
      f.end();
    }
  }
}

BOOST_AUTO_TEST_CASE(a_peer_that_never_reads_is_not_read_however_a_coroutine_answers_it) {
  for (const std::string_view target : {"/sends", "/parts", "/tries", "/split"})
    for (const std::size_t bytes : {5uz, 1'000uz, 100'000uz}) {
      BOOST_TEST_CONTEXT(target << " with messages of " << bytes << " bytes") {
        flow f;
        never_reads(f, f.open(target), repeated(masked(opcode::binary, std::string(bytes, 'x')), 5u << 20), held_max);
        f.end();
      }
    }
  flow f;
  never_reads(f, f.open("/pongs"), repeated(masked(opcode::ping, std::string(125, 'p')), 5u << 20), held_max);
  f.end();
}

BOOST_AUTO_TEST_CASE(messages_that_inflate_are_echoed_to_a_peer_that_never_reads_within_the_same_bound) {
  flow f;
  peer& p = f.open("/echo", true);
  never_reads(f, p, repeated(bomb(), 5u << 20), 2 * held_max);
  f.end();
}

// Its answers come in the end, all of them and in order, whenever it begins to read.
BOOST_AUTO_TEST_CASE(what_waited_is_answered_once_the_peer_reads) {
  flow f;
  peer& p = f.come();
  std::uint32_t answers = 0;
  p.on_answer = [&](int status, std::string_view) { answers += status == 200 ? 1 : 0; };
  constexpr std::uint32_t asked = 300;
  for (std::uint32_t i = 0; i < asked; ++i) p.ask("GET", i % 2 == 0 ? "/" : "/rooms");
  for (int i = 0; i < 300; ++i) f.go(p, false);
  for (int i = 0; i < 20'000 && answers < asked; ++i) f.go(p, true);
  BOOST_TEST(answers == asked);
  BOOST_TEST(p.complaint() == "");

  peer& echo = f.open("/echo");
  std::uint32_t heard = 0;
  echo.on_message = [&](const peer_message& m) { BOOST_TEST(m.payload == std::to_string(heard++)); };
  constexpr std::uint32_t said = 60'000;
  for (std::uint32_t i = 0; i < said; ++i) echo.send_bytes(masked(opcode::text, std::to_string(i)));
  for (int i = 0; i < 300; ++i) f.go(echo, false);
  BOOST_TEST(heard == 0u);
  for (int i = 0; i < 20'000 && heard < said; ++i) f.go(echo, true);
  BOOST_TEST(heard == said);
  BOOST_TEST(echo.complaint() == "");
  f.end();
}

// Many bombs arrive at once, on many connections; somebody else says a word now and then.
BOOST_AUTO_TEST_CASE(a_turn_hands_over_a_bounded_number_of_bytes_and_nobody_waits_longer_than_until_each_other_had_its_turn) {
  for (const auto& [target, count] :
       {std::pair<std::string_view, std::size_t>{"/echo", 4}, {"/echo", 16}, {"/broadcast/bombs", 4}, {"/broadcast/bombs", 16}}) {
    flow f;
    std::vector<peer*> attackers;
    for (std::size_t i = 0; i < count; ++i) attackers.push_back(&f.open(target, true));
    peer& honest = f.open("/echo");
    std::uint32_t heard = 0;
    honest.on_message = [&](const peer_message&) { ++heard; };
    std::vector<std::uint32_t> echoed(attackers.size());
    for (std::size_t i = 0; i < attackers.size(); ++i) {
      attackers[i]->on_message = [&echoed, i](const peer_message&) { ++echoed[i]; };
      attackers[i]->send_bytes(repeated(bomb(), 60 * bomb().size()));
    }
    shard& s = f.engine.at(0);
    std::uint64_t most = 0, turns_waited_most = 0;
    for (int round = 0; round < 400; ++round) {
      for (peer* p : attackers) p->act(true);
      honest.send_message(opcode::text, "?");
      const std::uint32_t heard_before = heard;
      while (honest.has_unsent()) honest.act(true);
      f.world.advance_by(100'000);
      std::uint64_t turns = 0;
      for (; heard == heard_before && turns < 100; ++turns) {
        const std::uint64_t before = s.counters().messages_received;
        honest.act(true);
        f.engine.turn_of(0);
        f.world.advance_by(100'000);
        most = std::max(most, s.counters().messages_received - before);
        honest.act(true);
      }
      turns_waited_most = std::max(turns_waited_most, turns);
    }
    BOOST_TEST_MESSAGE(target << " with " << count << ": a turn delivered at most " << most << " messages, waited " << turns_waited_most << " turns");
    // Each is a megabyte to deliver and as much to send. What comes in, and what was stopped before: each up to its bound and one message;
    // and the word of the honest one.
    BOOST_TEST(most <= 2 * (turn_work_bytes_max / (2u << 20) + 1) + 1);
    // The first turn finds it, the last one's flush sends it on the next submit.
    BOOST_TEST(turns_waited_most <= count + 2);
    // Round robin: none of them is far behind another.
    if (target == "/echo") {
      const auto [least, best] = std::ranges::minmax(echoed);
      BOOST_TEST(best > 3u);
      BOOST_TEST(best - least <= 3u);
    }
    f.end();
  }
}

// Memory that is touched costs the others' time as what is delivered does: many who send the beginnings of messages share a turn.
void sends_beginnings(const std::string& beginning, std::size_t payload_bytes) {
  constexpr std::size_t bytes = 1u << 20;
  flow f(1, {.send_bytes_min = bytes, .send_bytes_max = bytes, .receive_bytes_min = bytes, .receive_bytes_max = bytes});
  std::vector<peer*> senders;
  for (int i = 0; i < 40; ++i) senders.push_back(&f.open("/echo"));
  for (peer* p : senders) p->send_bytes(beginning);
  const auto kept = [&f] {
    std::size_t sum = 0;
    f.engine.at(0).connections().for_each(
        [&sum](const ringcast::engine::connection& c) { sum += c.assembler.arrived_bytes() + (c.partial != nullptr ? c.partial->size : 0); });
    return sum;
  };
  std::size_t most = 0;
  for (int i = 0; i < 2000 && kept() < senders.size() * payload_bytes; ++i) {
    // All of them have something for each turn.
    for (int quiet = 0; quiet < 20; ++quiet) {
      for (peer* p : senders) p->act(true);
      f.world.advance_by(1'000'000);
    }
    const std::size_t before = kept();
    f.engine.step();
    const std::size_t now = kept();
    most = std::max(most, now - std::min(before, now));
  }
  BOOST_TEST(kept() >= senders.size() * payload_bytes);
  // From those who come and from those who were stopped before: each up to its bound and one receive. And all provided buffers.
  BOOST_TEST(most <= 2 * (turn_parts_bytes_max + large_receive_bytes) + receive_buffers * receive_buffer_bytes);
  BOOST_TEST_MESSAGE("at most " << most << " bytes in a turn");
  f.end();
}

BOOST_AUTO_TEST_CASE(what_a_turn_receives_of_unfinished_frames_is_bounded) {
  sends_beginnings(masked(opcode::binary, std::string(1'000'000, 'x')).substr(0, 900'000), 900'000);
}

BOOST_AUTO_TEST_CASE(what_a_turn_receives_of_fragments_is_bounded) {
  std::string fragments = masked(opcode::binary, std::string(100'000, 'x'));
  fragments[0] = 0x02;
  std::string more = fragments;
  more[0] = 0x00;
  for (int i = 1; i < 9; ++i) fragments += more;
  sends_beginnings(fragments, 900'000);
}

// The shard's provided buffers are half a megabyte, and a receive that goes on takes all of them as long as its socket has more. Whoever finds
// none left is given one, so those who wait share what is there, and a word does not wait until each large message has been read.
BOOST_AUTO_TEST_CASE(a_word_is_heard_within_a_few_turns_while_many_begin_large_messages) {
  constexpr std::size_t bytes = 1u << 20;
  flow f(1, {.send_bytes_min = bytes, .send_bytes_max = bytes, .receive_bytes_min = bytes, .receive_bytes_max = bytes});
  const std::string beginning = masked(opcode::binary, std::string(1'000'000, 'x')).substr(0, 900'000);
  std::vector<peer*> senders;
  for (int i = 0; i < 200; ++i) senders.push_back(&f.open("/echo"));
  peer& honest = f.open("/echo");
  std::uint32_t heard = 0;
  honest.on_message = [&heard](const peer_message&) { ++heard; };
  for (peer* p : senders) p->send_bytes(beginning);
  for (int i = 0; i < 50; ++i) {
    for (peer* p : senders) p->act(true);
    f.world.advance_by(1'000'000);
  }
  std::uint64_t most = 0;
  for (std::uint32_t word = 1; word <= 20; ++word) {
    honest.send_message(opcode::text, "word");
    while (honest.has_unsent()) honest.act(true);
    f.world.advance_by(1'000'000);
    std::uint64_t turns = 0;
    for (; heard < word && turns < 1000; ++turns) {
      f.engine.turn_of(0);
      f.world.advance_by(1'000'000);
      honest.act(true);
    }
    most = std::max(most, turns);
  }
  BOOST_TEST(heard == 20u);
  // Each turn finds twenty completions; 200 who wait are ten turns, and twice as many where a cancel lies between.
  BOOST_TEST(most <= 30u);
  BOOST_TEST_MESSAGE("waited " << most << " turns");
  f.end();
}

// The kernel gives a waiting send up when it has been woken 128 times, with what it has: that is no failure of the connection.
BOOST_AUTO_TEST_CASE(a_large_message_reaches_a_peer_that_takes_it_in_a_thousand_pieces) {
  for (const std::string target : {"/echo", "/broadcast/room"}) {
    BOOST_TEST_CONTEXT(target) {
      constexpr std::size_t small = 1000;
      flow f(1, {.send_bytes_min = small, .send_bytes_max = small, .receive_bytes_min = small, .receive_bytes_max = small});
      peer& p = f.open(target);
      const std::string text = repeated("0123456789abcdef", 1'000'000).substr(0, 1'000'000);
      std::vector<std::size_t> heard;
      p.on_message = [&](const peer_message& m) {
        heard.push_back(m.payload.size());
        BOOST_TEST((m.payload == text));
      };
      p.send_bytes(masked(opcode::text, text));
      for (int i = 0; i < 200'000 && heard.empty() && p.now() == peer::state::open; ++i) {
        p.act(true);
        f.engine.step();
        (void)f.world.sleep(1'000'000);
      }
      BOOST_TEST(heard == std::vector<std::size_t>{text.size()});
      BOOST_TEST(f.world.happened["short waiting send"] > 0u);
      f.end();
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace ringcast::sim
