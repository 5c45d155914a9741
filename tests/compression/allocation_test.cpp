// What compression costs in heap allocations: nothing a message once warm, and memory of a connection only where contexts are kept.
#include "tests/compression/deflating_client.hpp"
#include "tests/library/running.hpp"
#include "tests/queues/allocation_count.hpp"

using namespace ringcast;

namespace {

constexpr int messages = 200, batch = 10;

void endpoints(server& s) {
  s.events("/echo", {.on_message = [](websocket_ref ws, const message_view& m) { ws.send(m); }});
  s.events("/broadcast", {.on_upgrade = [](upgrade_request_view& upgrade) { upgrade.take_seat("all"); },
                          .on_message = [](websocket_ref ws, const message_view& m) { ws.broadcast(m.op, m.payload); }});
  s.get("/coroutine", [](request& req) -> task<void> {
    websocket ws = co_await req.upgrade();
    while (auto message = co_await ws.receive()) co_await ws.send(*message);
  });
}

} // namespace

BOOST_AUTO_TEST_SUITE(allocations)

BOOST_AUTO_TEST_CASE(a_warm_message_allocates_nothing) {
  for (const auto mode : {compression_mode::shared, compression_mode::dedicated})
    for (const std::uint32_t shards : {1u, 2u}) {
      running server{endpoints, {.shards = shards, .compression = {.mode = mode}}};
      for (const char* path : {"/echo", "/coroutine", "/broadcast"}) {
        // The client must forget, or its messages are not the same bytes each time.
        deflating_client c{server.address(), path, "permessage-deflate; client_no_context_takeover; server_no_context_takeover"};
        const std::string payload = c.deflated(json_text(1024));
        c.send_payload(opcode::text, payload);
        const auto first = c.receive();
        BOOST_REQUIRE(first.compressed);
        const std::size_t answer = first.wire_bytes + 4;
        std::string all;
        for (int i = 0; i < batch; ++i) all += compressed_frame(opcode::text, payload);
        const auto rounds = [&] {
          for (int i = 0; i < messages / batch; ++i) {
            c.wire().send_bytes(all);
            BOOST_REQUIRE(c.wire().discard(answer * static_cast<std::size_t>(batch)));
          }
        };
        // Warm: a room's chunks adapt to what its turns bring, so each of their sizes must have been used.
        for (int i = 0; i < 10; ++i) rounds();
        const std::size_t before = allocation_count();
        rounds();
        const std::size_t made = allocation_count() - before;
        BOOST_TEST(made == 0u, path << ": " << made << " with " << shards << " shard(s)");
        c.wire().close(1000);
        while (c.text() != "<close 1000>") {
        }
      }
    }
}

BOOST_AUTO_TEST_SUITE_END()
