// Compressed messages that break a rule: the close code, and what they may cost.
#include "tests/compression/deflating_client.hpp"
#include "tests/library/running.hpp"

#include <fstream>

using namespace ringcast;

namespace {

void echoes(server& s) {
  s.events("/echo", {.on_message = [](websocket_ref ws, const message_view& m) { ws.send(m); }});
}

// The memory that the process has ever had, in KiB.
std::size_t peak_kib() {
  std::ifstream status{"/proc/self/status"};
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::stoul(line.substr(6));
  return 0;
}

// The payload of a message of so many zeros.
std::string bomb(std::size_t mebibytes) {
  test::zlib_deflater deflater{15, 9};
  const std::string zeros(1u << 20, '\0');
  std::string payload;
  for (std::size_t i = 0; i < mebibytes; ++i) {
    const test::bytes piece = deflater.run(std::as_bytes(std::span{zeros}), i + 1 == mebibytes ? Z_SYNC_FLUSH : Z_NO_FLUSH);
    payload.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  }
  return payload.substr(0, payload.size() - 4);
}

} // namespace

BOOST_AUTO_TEST_SUITE(refusals)

BOOST_AUTO_TEST_CASE(rsv1_without_the_extension_ends_with_1002) {
  running server{echoes};
  deflating_client c{server.address(), "/echo", ""};
  c.send_payload(opcode::text, "\x01");
  BOOST_TEST(c.text() == "<close 1002>");
}

BOOST_AUTO_TEST_CASE(rsv1_anywhere_but_on_the_first_frame_of_a_message_ends_with_1002) {
  running server{echoes};
  const auto ends_with = [&](const std::string& bytes) {
    deflating_client c{server.address(), "/echo"};
    c.wire().send_bytes(bytes);
    return c.text();
  };
  BOOST_TEST(ends_with(compressed_frame(opcode::ping, "x")) == "<close 1002>");
  BOOST_TEST(ends_with(compressed_frame(opcode::close, "")) == "<close 1002>");
  BOOST_TEST(ends_with(masked_frame(opcode::text, "plain", false) + compressed_frame(opcode::continuation, "x")) == "<close 1002>");
  BOOST_TEST(ends_with(compressed_frame(opcode::text, "x", false) + compressed_frame(opcode::continuation, "x")) == "<close 1002>");
  std::string rsv2 = masked_frame(opcode::text, "x");
  rsv2[0] = static_cast<char>(rsv2[0] | 0x20);
  BOOST_TEST(ends_with(rsv2) == "<close 1002>");
}

BOOST_AUTO_TEST_CASE(data_that_does_not_inflate_ends_with_1007) {
  for (const auto mode : {compression_mode::shared, compression_mode::dedicated}) {
    running server{echoes, {.compression = {.mode = mode}}};
    std::string cut;
    {
      deflating_client c{server.address(), "/echo"};
      cut = c.deflated(json_text(500));
    }
    for (const std::string& payload :
         {std::string{"\x07"}, std::string{"\xff\xff\xff\xff"}, cut.substr(0, cut.size() / 2), noise_bytes(300), std::string{}}) {
      deflating_client c{server.address(), "/echo"};
      c.send_payload(opcode::binary, payload);
      BOOST_TEST(c.text() == "<close 1007>", payload.size() << " bytes");
    }
    // A reference to bytes that were never sent.
    deflating_client c{server.address(), "/echo"};
    test::zlib_deflater before;
    const std::string said = json_text(400);
    (void)before.message(std::as_bytes(std::span{said}));
    const test::bytes second = before.message(std::as_bytes(std::span{said}));
    c.send_payload(opcode::text, {reinterpret_cast<const char*>(second.data()), second.size()});
    BOOST_TEST(c.text() == "<close 1007>");
  }
}

BOOST_AUTO_TEST_CASE(text_is_judged_behind_the_inflating) {
  running server{echoes};
  for (const std::string& bad : {std::string{"\xff"}, std::string(300, 'a') + "\xc3", "\xed\xa0\x80" + std::string(40, ' ')}) {
    deflating_client c{server.address(), "/echo"};
    c.send(opcode::text, bad);
    BOOST_TEST(c.text() == "<close 1007>");
    deflating_client binary{server.address(), "/echo"};
    binary.send(opcode::binary, bad);
    BOOST_TEST(binary.text() == bad);
  }
  deflating_client c{server.address(), "/echo"};
  c.send(opcode::text, "Grüße, 環", 5);
  BOOST_TEST(c.text() == "Grüße, 環");
}

BOOST_AUTO_TEST_CASE(the_limit_is_of_the_inflated_message) {
  server_options options;
  options.limits.message_bytes_max = 10'000;
  for (const auto mode : {compression_mode::shared, compression_mode::dedicated}) {
    options.compression.mode = mode;
    running server{echoes, options};
    for (const std::size_t size : {9'999u, 10'000u, 10'001u})
      for (const std::size_t fragments : {1u, 3u}) {
        // What shrinks, and what grows: the payload of the second is longer than the limit.
        for (const std::string& message : {std::string(size, 'm'), noise_bytes(size)}) {
          deflating_client c{server.address(), "/echo"};
          c.send(opcode::binary, message, fragments);
          const std::string got = c.text();
          BOOST_TEST((got == (size <= 10'000 ? message : "<close 1009>")), size << " bytes in " << fragments << ": " << got.substr(0, 20));
        }
      }
    deflating_client c{server.address(), "/echo"};
    c.send_plain(opcode::binary, std::string(10'001, 'x'));
    BOOST_TEST(c.text() == "<close 1009>");
  }
}

BOOST_AUTO_TEST_CASE(a_bomb_ends_with_1009_and_costs_what_the_limit_allows) {
  const std::string payload = bomb(512); // half a gigabyte in half a megabyte
  BOOST_TEST(payload.size() < (1u << 20));
  for (const auto mode : {compression_mode::shared, compression_mode::dedicated}) {
    running server{echoes, {.compression = {.mode = mode}}};
    const auto strike = [&](std::size_t fragments) {
      deflating_client c{server.address(), "/echo"};
      const std::size_t step = payload.size() / fragments + 1;
      for (std::size_t at = 0; at < payload.size(); at += step) {
        const std::string_view piece = std::string_view{payload}.substr(at, step);
        const bool fin = at + step >= payload.size();
        c.wire().send_bytes(at == 0 ? compressed_frame(opcode::binary, piece, fin) : masked_frame(opcode::continuation, piece, fin));
      }
      return c.text();
    };
    BOOST_TEST(strike(1) == "<close 1009>");
    const std::size_t before = peak_kib();
    for (const std::size_t fragments : {1u, 2u, 5u, 1u}) BOOST_TEST(strike(fragments) == "<close 1009>");
    BOOST_TEST(peak_kib() < before + 8 * 1024);
  }
}

BOOST_AUTO_TEST_SUITE_END()
