// Our client and permessage-deflate: what it offers, what it accepts, and both directions.
#include "tests/client/raw_server.hpp"
#include "tests/compression/deflating_client.hpp"
#include "tests/library/running.hpp"

#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>

using namespace ringcast;
using namespace ringcast::engine;

namespace {

const reconnect_policy never{.enabled = false};
constexpr std::chrono::seconds patience{5};

// The extension header of the client's request.
std::string offer_of(const compression_options& options) {
  std::promise<std::string> offered;
  raw_server server{[&](raw_connection& peer, int) { offered.set_value(header_of(peer.read_head(), "Sec-WebSocket-Extensions")); }};
  client c{server.url(), {.compression = options, .reconnect = never}};
  c.start();
  return offered.get_future().get();
}

// What becomes of a client whose server answers the upgrade with this extension field and then sends these bytes: an error's kind, or how it was closed.
std::string outcome_of(std::string_view extensions, std::string_view frames, const client_options& options = {}) {
  raw_server server{[&](raw_connection& peer, int) {
    const std::string head = peer.read_head();
    peer.accept_upgrade(head, extensions.empty() ? std::string{} : "Sec-WebSocket-Extensions: " + std::string{extensions} + "\r\n", frames);
    unsigned op = 0;
    while (op != 8) {
      const std::string payload = peer.read_frame(op);
      if (op == 8) peer.write(frame_of(0x88, payload));
      if (payload.empty()) break;
    }
    peer.wait_for_end();
  }};
  std::promise<std::string> told;
  client_options given = options;
  given.reconnect = never;
  client c{server.url(), given};
  c.on_message([&](const message_view& m) { told.set_value("message of " + std::to_string(m.payload.size())); });
  c.on_error([&](const client_error& e) { told.set_value(e.kind == client_error_kind::bad_handshake ? "bad handshake" : "error"); });
  c.on_close([&](std::uint16_t code, std::string_view, bool) {
    try {
      told.set_value("closed " + std::to_string(code));
    } catch (const std::future_error&) {
    }
  });
  c.start();
  auto future = told.get_future();
  const std::string seen = future.wait_for(patience) == std::future_status::ready ? future.get() : "nothing";
  c.stop();
  return seen;
}

std::string deflated(std::string_view text) {
  test::zlib_deflater deflater;
  const test::bytes payload = deflater.message(std::as_bytes(std::span{text}));
  return {reinterpret_cast<const char*>(payload.data()), payload.size()};
}

} // namespace

BOOST_AUTO_TEST_SUITE(clients)

BOOST_AUTO_TEST_CASE(what_is_offered_follows_the_mode) {
  BOOST_TEST(offer_of({}) == "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits");
  BOOST_TEST(offer_of({.mode = compression_mode::dedicated}) == "permessage-deflate; client_max_window_bits");
  BOOST_TEST(offer_of({.mode = compression_mode::dedicated, .window_bits = 10}) ==
             "permessage-deflate; server_max_window_bits=10; client_max_window_bits=10");
  BOOST_TEST(offer_of({.mode = compression_mode::off}) == "");
}

BOOST_AUTO_TEST_CASE(every_size_comes_back_from_our_own_server) {
  for (const auto at_server : {compression_mode::off, compression_mode::shared, compression_mode::dedicated})
    for (const auto at_client : {compression_mode::off, compression_mode::shared, compression_mode::dedicated}) {
      running server{[](auto& s) { s.events("/echo", {.on_message = [](websocket_ref ws, const message_view& m) { ws.send(m); }}); },
                     {.compression = {.mode = at_server}}};
      std::vector<std::string> messages;
      for (const std::size_t size : {0u, 1u, 63u, 64u, 255u, 256u, 1000u, 70'000u, 1u << 20})
        for (const bool text : {true, false}) messages.push_back(text ? json_text(size) : noise_bytes(size));
      std::mutex lock;
      std::condition_variable more;
      std::vector<std::string> heard;
      client c{"ws://" + server.address() + "/echo", {.compression = {.mode = at_client}, .reconnect = never, .queue_bytes_max = 32u << 20}};
      c.on_message([&](const message_view& m) {
        const std::lock_guard guard(lock);
        heard.emplace_back(m.text());
        more.notify_one();
      });
      c.start();
      for (std::size_t i = 0; i < messages.size(); ++i) {
        const std::string& m = messages[i];
        BOOST_TEST((c.send(i % 2 == 0 ? opcode::text : opcode::binary, std::as_bytes(std::span{m})) == send_status::queued));
      }
      std::unique_lock guard(lock);
      BOOST_TEST(more.wait_for(guard, patience, [&] { return heard.size() == messages.size(); }));
      BOOST_TEST((heard == messages));
      guard.unlock();
      c.stop();
    }
}

BOOST_AUTO_TEST_CASE(a_message_from_the_threshold_on_is_deflated_and_masked) {
  const std::string message = json_text(1000);
  std::promise<std::pair<unsigned, std::string>> heard;
  raw_server server{[&](raw_connection& peer, int) {
    peer.accept_upgrade(peer.read_head(), "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n");
    const std::string head = peer.read(4), key = peer.read(4);
    std::string payload = peer.read(static_cast<std::size_t>(static_cast<unsigned char>(head[2])) << 8 | static_cast<unsigned char>(head[3]));
    for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<char>(payload[i] ^ key[i % 4]);
    heard.set_value({static_cast<unsigned char>(head[0]), payload});
    peer.wait_for_end();
  }};
  client c{server.url(), {.reconnect = never}};
  c.start();
  c.send_text(message);
  const auto [first, payload] = heard.get_future().get();
  BOOST_TEST(first == 0xC1u);
  BOOST_TEST(payload.size() < 600u);
  test::zlib_inflater inflater;
  const auto inflated = inflater.message(std::as_bytes(std::span{payload}));
  BOOST_REQUIRE(inflated.has_value());
  BOOST_TEST((std::string{reinterpret_cast<const char*>(inflated->data()), inflated->size()} == message));
  c.stop();
}

BOOST_AUTO_TEST_CASE(an_answer_that_breaks_rfc_7692_fails_the_handshake) {
  constexpr std::string_view good = "permessage-deflate; server_no_context_takeover";
  const std::string hello = frame_of(0xC1, deflated("hello"));
  BOOST_TEST(outcome_of(good, hello) == "message of 5");
  BOOST_TEST(outcome_of("permessage-deflate; server_no_context_takeover; client_max_window_bits=9", hello) == "message of 5");
  for (const std::string_view bad : {"permessage-deflate", "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
                                     "permessage-deflate; server_no_context_takeover; client_max_window_bits=16",
                                     "permessage-deflate; server_no_context_takeover; client_max_window_bits", "x-other",
                                     "permessage-deflate; server_no_context_takeover, permessage-deflate; server_no_context_takeover"})
    BOOST_TEST(outcome_of(bad, hello) == "bad handshake", bad);
  BOOST_TEST(outcome_of(good, hello, {.compression = {.mode = compression_mode::off}}) == "bad handshake");
}

BOOST_AUTO_TEST_CASE(a_server_that_breaks_a_rule_is_told_which) {
  constexpr std::string_view good = "permessage-deflate; server_no_context_takeover";
  BOOST_TEST(outcome_of("", frame_of(0xC1, deflated("hello"))) == "closed 1002");
  BOOST_TEST(outcome_of(good, frame_of(0xC9, "ping")) == "closed 1002");
  BOOST_TEST(outcome_of(good, frame_of(0xC1, "\x07")) == "closed 1007");
  BOOST_TEST(outcome_of(good, frame_of(0xC1, deflated("\xff"))) == "closed 1007");
  const std::string at_limit = frame_of(0xC2, deflated(std::string(4000, 'x'))), beyond = frame_of(0xC2, deflated(std::string(4001, 'x')));
  BOOST_TEST(outcome_of(good, at_limit, {.message_bytes_max = 4000}) == "message of 4000");
  BOOST_TEST(outcome_of(good, beyond, {.message_bytes_max = 4000}) == "closed 1009");
}

BOOST_AUTO_TEST_SUITE_END()
