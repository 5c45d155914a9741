// A client that a server's own code makes, on the shard where that runs.
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"

#include <atomic>
#include <memory>
#include <thread>

using namespace ringcast;

BOOST_AUTO_TEST_SUITE(client_on_shard)

BOOST_AUTO_TEST_CASE(a_client_lives_on_the_shard_of_the_callback_that_made_it) {
  running upstream{[](auto& s) { s.events("/echo", {.on_message = [](websocket_ref ws, const message_view& m) { ws.send(m); }}); }};
  std::unique_ptr<client> made;
  std::thread::id shard_thread, client_thread;
  std::atomic<bool> was_heard = false; // what the shard's thread has written before is ours then
  running relay{[&](auto& s) {
    s.routes().add("GET", "/", [&](const http_request&, http_responder responder) {
      shard_thread = std::this_thread::get_id();
      made = std::make_unique<client>("ws://" + upstream.address() + "/echo", client_options{}, on_this_shard);
      made->on_open([&made] { made->send_text("through the relay"); });
      made->on_message([&client_thread, &was_heard, responder](const message_view& m) mutable {
        client_thread = std::this_thread::get_id();
        was_heard = true;
        responder.respond(http_status::ok, "text/plain", m.text());
      });
      made->start();
    });
  }};
  wire_client asks{relay.address()};
  BOOST_TEST(asks.http("GET / HTTP/1.1\r\nHost: x\r\n\r\n").ends_with("through the relay"));
  BOOST_TEST_REQUIRE(was_heard);
  BOOST_TEST((client_thread == shard_thread));
  made.reset();
}

BOOST_AUTO_TEST_SUITE_END()
