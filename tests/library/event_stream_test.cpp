// Event streams as a program serves them: beside WebSockets of the same endpoint, in the same rooms.
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>

using namespace ringcast;

namespace {

struct told {
  std::atomic<int> opened{0}, messages{0}, closed{0}, discarded{0}, events_to_websockets{0};
  std::atomic<int> code{0};
};

websocket_endpoint lobby(told& to) {
  return {.on_upgrade =
              [&to](upgrade_request_view& upgrade) {
                if (upgrade.request().query("no")) return upgrade.refuse(http_status::forbidden, "not here");
                if (upgrade.request().query("throws")) throw std::runtime_error{"on purpose"};
                upgrade.take_seat("lobby", {.name = upgrade.request().query("name").value_or("")});
                upgrade.set_user(&to);
              },
          .on_discard = [&to](void*) { ++to.discarded; },
          .on_open =
              [&to](websocket_ref ws) {
                ++to.opened;
                if (ws.is_event_stream()) ws.send_event("hello", "a\nb", "7");
                if (!ws.is_event_stream() && ws.send_event("hello", "x") != send_status::closed) ++to.events_to_websockets;
              },
          .on_message =
              [&to](websocket_ref ws, const message_view& m) {
                ++to.messages;
                if (m.text() == "close them") return;
                ws.broadcast(m.op, m.payload);
              },
          .on_close = [&to](websocket_ref, std::uint16_t code, std::string_view) { to.code = code, ++to.closed; },
          .event_streams = true};
}

constexpr std::string_view wants_events = "Accept: text/event-stream\r\n";

std::string get(std::string_view target, std::string_view headers = wants_events, std::string_view version = "1.1") {
  return "GET " + std::string{target} + " HTTP/" + std::string{version} + "\r\nHost: x\r\n" + std::string{headers} + "\r\n";
}

template <class Done> void wait_until(Done&& done) {
  for (int i = 0; i < 500 && !done(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds{10});
  BOOST_TEST(done());
}

} // namespace

BOOST_AUTO_TEST_SUITE(event_streams)

BOOST_AUTO_TEST_CASE(a_stream_and_a_websocket_hear_the_same_room) {
  told to;
  running server{[&](auto& s) { s.routes().add("/lobby", lobby(to)); }};
  wire_client stream{server.address()};
  stream.send_bytes(get("/lobby"));
  const std::string head = stream.until("\r\n\r\n");
  BOOST_TEST(head.starts_with("HTTP/1.1 200 OK\r\n"));
  BOOST_TEST(head.find("Content-Type: text/event-stream\r\n") != std::string::npos);
  BOOST_TEST(head.find("Content-Length") == std::string::npos);
  BOOST_TEST(head.find("Access-Control-Allow-Origin") == std::string::npos);
  BOOST_TEST(stream.until("\n\n\r\n") == "24\r\nid: 7\nevent: hello\ndata: a\ndata: b\n\n\r\n");
  wire_client socket{server.address()};
  BOOST_TEST(socket.upgrade("/lobby").starts_with("HTTP/1.1 101"));
  socket.send(opcode::text, "hi");
  BOOST_TEST(socket.text() == "hi");
  BOOST_TEST(stream.until("\n\n\r\n").ends_with(":1\ndata: hi\n\n\r\n"));
  BOOST_TEST(server.s.room("lobby").info_future().get().members == 2u);
  BOOST_TEST(to.events_to_websockets == 0);
}

BOOST_AUTO_TEST_CASE(what_a_stream_sends_is_dropped_and_its_end_is_told) {
  told to;
  running server{[&](auto& s) { s.routes().add("/lobby", lobby(to)); }};
  {
    wire_client stream{server.address()};
    // Behind the request, and later: another request, a frame, 200 KiB of nothing.
    stream.send_bytes(get("/lobby") + get("/lobby") + masked_frame(opcode::text, "hi"));
    (void)stream.until("data: b\n\n\r\n");
    stream.send_bytes(std::string(200'000, 'x'));
    wire_client socket{server.address()};
    (void)socket.upgrade("/lobby");
    socket.send(opcode::text, "still there");
    BOOST_TEST(stream.until("\n\n\r\n").ends_with("data: still there\n\n\r\n"));
    BOOST_TEST(to.messages == 1);
    BOOST_TEST(to.closed == 0);
  }
  wait_until([&] { return to.closed == 2; });
  BOOST_TEST(to.opened == 2);
}

BOOST_AUTO_TEST_CASE(what_is_no_stream_is_refused_in_words) {
  told to;
  running server{[&](auto& s) {
                   s.routes().add("/lobby", lobby(to));
                   s.routes().add("/sockets", websocket_endpoint{});
                 },
                 [] {
                   server_options options;
                   options.allowed_origins = {"https://good.example"};
                   return options;
                 }()};
  const auto status = [&](const std::string& request) { return wire_client{server.address()}.http(request).substr(9, 3); };
  BOOST_TEST(status(get("/lobby", wants_events, "1.0")) == "426");
  BOOST_TEST(wire_client{server.address()}.http(get("/lobby", wants_events, "1.0")).find("Upgrade: HTTP/1.1\r\n") != std::string::npos);
  BOOST_TEST(status(get("/lobby", "Accept: text/html\r\n")) == "400");
  BOOST_TEST(status(get("/lobby", "")) == "400");
  BOOST_TEST(status(get("/sockets")) == "400");
  BOOST_TEST(status("POST /lobby HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nContent-Length: 0\r\n\r\n") == "405");
  BOOST_TEST(status(get("/lobby?no=1")) == "403");
  BOOST_TEST(status(get("/lobby?throws=1")) == "500");
  BOOST_TEST(status(get("/lobby?name=%01")) == "400");
  BOOST_TEST(status(get("/lobby", std::string{wants_events} + "Origin: https://evil.example\r\n")) == "403");
  wire_client good{server.address()};
  good.send_bytes(get("/lobby", std::string{wants_events} + "Origin: https://good.example\r\n"));
  BOOST_TEST(good.until("\r\n\r\n").find("Access-Control-Allow-Origin: https://good.example\r\nVary: Origin\r\n") != std::string::npos);
  // A name that is taken: on this connection the next request is answered.
  wire_client first{server.address()};
  first.send_bytes(get("/lobby?name=ada"));
  (void)first.until("data: b\n\n\r\n");
  BOOST_TEST(status(get("/lobby?name=ada")) == "400");
  wait_until([&] { return to.discarded == 2; });
}

BOOST_AUTO_TEST_CASE(a_silent_stream_hears_comments) {
  told to;
  auto endpoint = lobby(to);
  endpoint.ping_interval_ms = 50;
  endpoint.idle_timeout_ms = 10; // of those who may say something
  running server{[&](auto& s) { s.routes().add("/lobby", endpoint); }};
  wire_client stream{server.address()};
  stream.send_bytes(get("/lobby"));
  (void)stream.until("data: b\n\n\r\n");
  for (int i = 0; i < 10; ++i) BOOST_TEST(stream.until("\n\n\r\n") == "3\r\n:\n\n\r\n");
  BOOST_TEST(to.closed == 0);
}

BOOST_AUTO_TEST_CASE(a_stream_is_told_why_it_ends) {
  told to;
  wire_client* left = nullptr;
  std::unique_ptr<wire_client> stream;
  {
    running server{[&](auto& s) {
      auto endpoint = lobby(to);
      endpoint.on_message = [](websocket_ref, const message_view&) {};
      s.routes().add("/lobby", endpoint);
    }};
    stream = std::make_unique<wire_client>(server.address());
    stream->send_bytes(get("/lobby"));
    (void)stream->until("data: b\n\n\r\n");
    left = stream.get();
  }
  BOOST_TEST(left->until("0\r\n\r\n").find("event: close\ndata: {\"code\":1001,\"reason\":\"the server is going away\"}\n\n\r\n0\r\n\r\n") !=
             std::string::npos);
  BOOST_TEST(left->ended());
  BOOST_TEST(to.closed == 1);
  BOOST_TEST(to.code == 1001);
}

// What waits for it is bounded like a WebSocket's.
BOOST_AUTO_TEST_CASE(a_stream_that_does_not_read_is_closed_for_being_slow) {
  told to;
  server_options options;
  options.limits.send_queue_bytes_max = 64 * 1024;
  running server{[&](auto& s) { s.routes().add("/lobby", lobby(to)); }, options};
  wire_client stream{server.address()};
  stream.send_bytes(get("/lobby"));
  (void)stream.until("data: b\n\n\r\n");
  room talk = server.s.room("lobby");
  const std::string line(32 * 1024, 'x');
  for (int i = 0; i < 2000 && to.closed == 0; ++i)
    if (talk.broadcast_future(opcode::text, std::as_bytes(std::span{line})).get().members == 0) break;
  wait_until([&] { return to.closed == 1; });
  BOOST_TEST(to.code == 1013);
}

BOOST_AUTO_TEST_SUITE_END()
