// Messages to one connection and from it: every size, each mode, fragments, thresholds, windows.
#include "tests/compression/deflating_client.hpp"
#include "tests/library/running.hpp"

#include <vector>

using namespace ringcast;

namespace {

void echoes(server& s) {
  s.events("/events", {.on_message = [](websocket_ref ws, const message_view& m) { ws.send(m); }});
  s.get("/coroutine", [](request& req) -> task<void> {
    websocket ws = co_await req.upgrade();
    while (auto message = co_await ws.receive()) co_await ws.send(*message);
  });
  // Not back at receive() when the callback returns: the bytes must stay all the same.
  s.get("/late", [](request& req) -> task<void> {
    websocket ws = co_await req.upgrade();
    while (auto message = co_await ws.receive()) {
      co_await sleep_for(std::chrono::milliseconds{2});
      co_await ws.send(*message);
    }
  });
}

const std::vector<std::size_t> sizes{0, 1, 2, 63, 64, 125, 126, 127, 255, 256, 257, 300, 1024, 16'000, 65'535, 65'536, 1u << 20};

} // namespace

BOOST_AUTO_TEST_SUITE(echo)

BOOST_AUTO_TEST_CASE(every_size_comes_back_in_every_mode) {
  for (const auto mode : {compression_mode::shared, compression_mode::dedicated})
    for (const unsigned level : {0u, 1u, 3u}) {
      running server{echoes, {.compression = {.mode = mode, .level = level}}};
      for (const char* path : {"/events", "/coroutine", "/late"}) {
        deflating_client c{server.address(), path};
        BOOST_TEST(c.agreed().accepted);
        for (const std::size_t size : sizes)
          for (const bool text : {true, false}) {
            const std::string message = text ? json_text(size, static_cast<unsigned>(size)) : noise_bytes(size, static_cast<unsigned>(size));
            c.send(text ? opcode::text : opcode::binary, message);
            const auto got = c.receive();
            BOOST_REQUIRE_MESSAGE(got.text == message, path << " level " << level << ": " << size << " bytes, got " << got.text.size());
            BOOST_TEST((got.op == (text ? opcode::text : opcode::binary)));
            if (text && size >= 1024) BOOST_TEST((got.compressed && got.wire_bytes < size * 3 / 4));
          }
      }
    }
}

BOOST_AUTO_TEST_CASE(what_is_below_the_threshold_or_would_not_shrink_is_sent_as_it_is) {
  running server{echoes, {.compression = {.threshold_bytes = 100}}};
  deflating_client c{server.address(), "/events"};
  for (const std::size_t size : {std::size_t{99}, std::size_t{100}, std::size_t{101}}) {
    c.send(opcode::text, std::string(size, 'a'));
    const auto got = c.receive();
    BOOST_TEST(got.text == std::string(size, 'a'));
    BOOST_TEST(got.compressed == (size >= 100));
  }
  c.send(opcode::binary, noise_bytes(4000));
  const auto noise = c.receive();
  BOOST_TEST(noise.text == noise_bytes(4000));
  BOOST_TEST(!noise.compressed);
}

BOOST_AUTO_TEST_CASE(the_thresholds_by_default) {
  for (const auto& [mode, threshold] : {std::pair{compression_mode::shared, std::size_t{256}}, {compression_mode::dedicated, std::size_t{64}}}) {
    running server{echoes, {.compression = {.mode = mode}}};
    deflating_client c{server.address(), "/events"};
    for (const std::size_t size : {threshold - 1, threshold}) {
      c.send_plain(opcode::text, std::string(size, 'b'));
      BOOST_TEST(c.receive().compressed == (size == threshold));
    }
  }
}

BOOST_AUTO_TEST_CASE(fragments_of_a_compressed_message_are_inflated_together) {
  for (const auto mode : {compression_mode::shared, compression_mode::dedicated}) {
    running server{echoes, {.compression = {.mode = mode}}};
    deflating_client c{server.address(), "/events"};
    for (const std::size_t fragments : {2u, 3u, 7u, 1000u}) {
      const std::string message = json_text(5000, static_cast<unsigned>(fragments));
      c.send(opcode::text, message, fragments);
      BOOST_TEST(c.text() == message);
    }
    // An empty last fragment, as senders make it that learn late that a message has ended.
    const std::string payload = c.deflated("the end is empty");
    c.send_payload(opcode::text, payload, false);
    c.wire().send(opcode::ping, "between");
    c.wire().send(opcode::continuation, "", true);
    BOOST_TEST(c.text() == "the end is empty");
  }
}

BOOST_AUTO_TEST_CASE(plain_and_compressed_messages_take_turns) {
  running server{echoes, {.compression = {.mode = compression_mode::dedicated}}};
  deflating_client c{server.address(), "/events"};
  for (unsigned i = 0; i < 50; ++i) {
    const std::string message = json_text(30 + 37 * i, i);
    if (i % 3 == 0)
      c.send_plain(opcode::text, message);
    else
      c.send(opcode::text, message);
    BOOST_TEST(c.text() == message);
  }
}

BOOST_AUTO_TEST_CASE(with_context_the_same_message_shrinks_to_almost_nothing) {
  running server{echoes, {.compression = {.mode = compression_mode::dedicated}}};
  deflating_client c{server.address(), "/events"};
  const std::string message = json_text(1000);
  c.send(opcode::text, message);
  BOOST_TEST(c.text() == message);
  c.send(opcode::text, message);
  const auto again = c.receive();
  BOOST_TEST(again.text == message);
  BOOST_TEST(again.wire_bytes < 100u);
}

BOOST_AUTO_TEST_CASE(nothing_refers_further_back_than_the_agreed_window) {
  for (const auto mode : {compression_mode::shared, compression_mode::dedicated}) {
    running server{echoes, {.compression = {.mode = mode}}};
    // zlib has no raw stream with a window of 2^8.
    for (const int bits : {9, 10, 12, 14}) {
      deflating_client c{server.address(), "/events", "permessage-deflate; server_max_window_bits=" + std::to_string(bits)};
      BOOST_TEST(c.agreed().server_bits == bits);
      // Repeats at distances on both sides of the window.
      for (const std::size_t distance : {(1u << bits) - 300u, (1u << bits) + 40u, 3u << bits}) {
        const std::string once = noise_bytes(distance, static_cast<unsigned>(distance));
        const std::string message = once + once + std::string(2000, 'z') + once;
        c.send(opcode::binary, message);
        BOOST_TEST((c.text() == message));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(window_bits_of_the_server_hold_for_the_client_too) {
  running server{echoes, {.compression = {.mode = compression_mode::dedicated, .window_bits = 9}}};
  deflating_client c{server.address(), "/events"};
  BOOST_TEST(c.agreed().client_bits == 9);
  for (unsigned i = 0; i < 20; ++i) {
    const std::string message = json_text(3000, i % 4);
    c.send(opcode::text, message);
    BOOST_TEST(c.text() == message);
  }
}

BOOST_AUTO_TEST_SUITE_END()
