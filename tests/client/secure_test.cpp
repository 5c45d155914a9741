// wss:// with the client's events: who is trusted, what is refused and why, what is tried again, and every wrong way for a server to speak.
#include "raw_server.hpp"
#include "recorder.hpp"

#include "tests/tls/certificates.hpp"
#include <ringcast/coroutine_client.hpp>
#include <ringcast/server.hpp>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <fmt/format.h>

using namespace ringcast;
using namespace ringcast::engine;
using namespace std::chrono_literals;
using test::test_certificates;

namespace {

constexpr reconnect_policy at_once{.initial_delay = 1ms, .max_delay = 5ms, .jitter = reconnect_policy::jitter_kind::none};
constexpr reconnect_policy never{.enabled = false};

std::shared_ptr<const tls_context> certified(const std::string& name, tls_server_options options = {}) {
  options.certificates = {{test_certificates().pem(name), test_certificates().key(name), {}}};
  auto loaded = tls_context::load_server(options);
  BOOST_REQUIRE_MESSAGE(loaded, (loaded ? "" : loaded.error()));
  return *loaded;
}

tls_client_options trusting(const std::string& authority = "ca") { return {.ca_file = test_certificates().pem(authority)}; }

// A server that finishes the handshake and accepts the upgrade, where the client lets it.
auto accepting(std::shared_ptr<const tls_context> context, std::function<void(raw_connection&, int)> then = {}) {
  return [context, then = std::move(then)](raw_connection& peer, int number) {
    if (!peer.start_tls(context)) return peer.wait_for_end();
    peer.accept_upgrade(peer.read_head());
    if (then)
      then(peer, number);
    else
      peer.wait_for_end();
  };
}

// The first line of a client's story, which must then be over: nothing is tried again.
std::string final_error(std::string url, client_options options) {
  recorder seen;
  options.reconnect = at_once;
  client c{url, std::move(options)};
  seen.listen_to(c);
  c.start();
  if (!seen.wait_for("close 1006 unclean")) return "it never closed: " + seen.story();
  BOOST_TEST(seen.count("error") == 1u);
  BOOST_TEST(seen.count("reconnecting") == 0u);
  BOOST_TEST((c.state() == client_state::closed));
  return seen.lines().front();
}

// Of an attempt whose server does this; the client tries once more and is then accepted.
std::string first_error(const std::function<void(raw_connection&)>& first, std::shared_ptr<const tls_context> context) {
  recorder seen;
  const auto second = accepting(context);
  raw_server server{[&](raw_connection& peer, int number) { number == 0 ? first(peer) : second(peer, number); }};
  client c{server.tls_url(), {.tls = trusting(), .reconnect = at_once}};
  seen.listen_to(c);
  c.start();
  if (!seen.wait_for("open")) return "it never came back";
  BOOST_TEST(seen.story().ends_with("| reconnecting 1 | open"));
  return seen.lines().front();
}

std::string error_with(const std::string& certificate, tls_client_options tls, const std::string& host = "localhost") {
  raw_server server{accepting(certified(certificate))};
  return final_error(fmt::format("wss://{}:{}/", host, server.port()), {.tls = std::move(tls)});
}

struct tls_echo {
  tls_echo()
      : own({.listen = {},
             .listen_tls = {"127.0.0.1:0"},
             .tls = {.certificates = {{test_certificates().pem("localhost"), test_certificates().key("localhost"), {}}}},
             .shards = 1}) {
    own.routes().add("/echo", websocket_endpoint{.on_message = [](websocket_ref ws, const message_view& m) { ws.send(m); }});
    const auto started = own.start();
    BOOST_REQUIRE_MESSAGE(started, (started ? "" : started.error().why));
    url = fmt::format("wss://{}/echo", own.tls_addresses().front());
  }
  server own;
  std::string url;
};

} // namespace

BOOST_AUTO_TEST_SUITE(secure)

BOOST_FIXTURE_TEST_CASE(both_faces_echo_every_size_over_wss, tls_echo) {
  const std::vector<std::size_t> sizes{0, 1, 125, 126, 16'383, 16'384, 16'385, 65'535, 65'536, 300'000, 1 << 20};
  recorder seen;
  client c{url, {.tls = trusting()}};
  c.on_message([&](const message_view& m) {
    const bool same = m.payload.size() == 0 || m.text().find_first_not_of('x') == std::string_view::npos;
    seen.add(fmt::format("message {} {}", m.payload.size(), same));
  });
  c.on_close([&](std::uint16_t code, std::string_view reason, bool clean) { seen.add(fmt::format("close {} {} {}", code, reason, clean)); });
  c.start();
  for (const std::size_t size : sizes) {
    c.send_text(std::string(size, 'x'));
    BOOST_TEST(seen.wait_for(fmt::format("message {} true", size)));
  }
  c.disconnect(1000, "bye");
  BOOST_TEST(seen.wait_for("close 1000 "));

  client_loop loop;
  loop.run([&]() -> task<void> {
    coroutine_client awaited{url, {.tls = trusting()}};
    BOOST_TEST((co_await awaited.connect()).has_value());
    for (const std::size_t size : sizes) {
      (void)co_await awaited.send_binary(std::vector<std::byte>(size, std::byte{'x'}));
      const auto answer = co_await awaited.receive();
      BOOST_REQUIRE(answer.has_value());
      BOOST_TEST(answer->payload.size() == size);
    }
    co_await awaited.close();
  });
}

BOOST_FIXTURE_TEST_CASE(a_flood_over_wss_comes_back_in_order, tls_echo) {
  recorder seen;
  std::atomic<int> next{0}, wrong{0};
  client c{url, {.tls = trusting(), .queue_bytes_max = 64u << 20}};
  c.on_message([&](const message_view& m) {
    if (!m.text().starts_with(fmt::format("{} ", next.load()))) ++wrong;
    if (++next == 20'000) seen.add("all");
  });
  c.start();
  for (int i = 0; i < 20'000; ++i) c.send_text(fmt::format("{} {}", i, std::string(static_cast<std::size_t>(i) % 900, 'y')));
  BOOST_TEST(seen.wait_for("all", 1, 30s));
  BOOST_TEST(wrong == 0);
}

BOOST_AUTO_TEST_CASE(an_address_in_the_url_is_looked_for_in_the_certificate) {
  recorder seen;
  raw_server server{accepting(certified("localhost"))};
  client c{fmt::format("wss://127.0.0.1:{}/", server.port()), {.tls = trusting(), .reconnect = never}};
  seen.listen_to(c);
  c.start();
  BOOST_TEST(seen.wait_for("open"));
  BOOST_TEST(error_with("other", trusting(), "127.0.0.1") == "error certificate TLS: the certificate is for another host name");
}

BOOST_AUTO_TEST_CASE(certificates_that_are_not_accepted_are_named_and_not_tried_again) {
  BOOST_TEST(error_with("foreign", trusting()) == "error certificate TLS: the certificate is not signed by an authority that is trusted here");
  BOOST_TEST(error_with("other", trusting()) == "error certificate TLS: the certificate is for another host name");
  BOOST_TEST(error_with("expired", trusting()) == "error certificate TLS: the certificate has expired");
}

BOOST_AUTO_TEST_CASE(the_server_hears_why_by_an_alert) {
  recorder got;
  const auto context = certified("foreign");
  raw_server server{[&](raw_connection& peer, int) {
    (void)peer.start_tls(context);
    peer.wait_for_end();
    got.add(std::string{peer.tls().reason()});
  }};
  (void)final_error(server.tls_url(), {.tls = trusting()});
  BOOST_TEST(got.wait_for("the peer refused with the alert"));
}

BOOST_AUTO_TEST_CASE(the_system_s_store_is_trusted_by_default) {
  setenv("SSL_CERT_FILE", test_certificates().pem("ca").c_str(), 1);
  recorder seen;
  raw_server server{accepting(certified("localhost"))};
  client c{server.tls_url(), {.reconnect = never}};
  unsetenv("SSL_CERT_FILE");
  seen.listen_to(c);
  c.start();
  BOOST_TEST(seen.wait_for("open"));
}

BOOST_AUTO_TEST_CASE(verification_is_switched_off_by_one_explicit_option) {
  recorder seen;
  raw_server server{accepting(certified("foreign"))};
  client c{fmt::format("wss://127.0.0.1:{}/", server.port()), {.tls = {.verification = tls_verification::off_and_insecure}, .reconnect = never}};
  seen.listen_to(c);
  c.start();
  BOOST_TEST(seen.wait_for("open"));
}

BOOST_AUTO_TEST_CASE(the_server_name_is_the_url_s_host_or_what_the_option_says) {
  recorder seen, got;
  const auto context = certified("other");
  raw_server server{accepting(context, [&](raw_connection& peer, int) {
    got.add(fmt::format("sni {}", peer.tls().agreement().server_name));
    peer.wait_for_end();
  })};
  client c{fmt::format("wss://127.0.0.1:{}/", server.port()), {.tls = trusting(), .tls_server_name = "other.test", .reconnect = never}};
  seen.listen_to(c);
  c.start();
  BOOST_TEST(seen.wait_for("open"));
  BOOST_TEST(got.wait_for("sni other.test"));
}

BOOST_AUTO_TEST_CASE(a_client_certificate_is_shown_to_a_server_that_asks) {
  recorder seen, got;
  raw_server server{accepting(certified("localhost", {.client_ca_file = test_certificates().pem("ca")}), [&](raw_connection& peer, int) {
    got.add(std::string{peer.tls().agreement().peer_subject});
    peer.wait_for_end();
  })};
  tls_client_options with = trusting();
  with.certificate_chain_file = test_certificates().pem("client");
  with.certificate_key_file = test_certificates().key("client");
  client c{server.tls_url(), {.tls = with, .reconnect = never}};
  seen.listen_to(c);
  c.start();
  BOOST_TEST(seen.wait_for("open"));
  BOOST_REQUIRE(got.wait_for("/"));
  BOOST_TEST(got.lines().front().find("CN=client-7") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_server_that_wants_another_client_certificate_is_not_asked_again) {
  // In TLS 1.3 the client's handshake is over before the server has seen that there is no certificate.
  raw_server server{accepting(certified("localhost", {.client_ca_file = test_certificates().pem("ca")}))};
  BOOST_TEST(final_error(server.tls_url(), {.tls = trusting()}) == "error tls TLS: the peer refused with the alert certificate_required");
}

BOOST_AUTO_TEST_CASE(versions_that_do_not_meet_are_not_tried_again) {
  raw_server server{accepting(certified("localhost", {.newest = tls_version::tls_1_2}))};
  tls_client_options newest = trusting();
  newest.oldest = tls_version::tls_1_3;
  BOOST_TEST(final_error(server.tls_url(), {.tls = newest}).starts_with("error tls TLS: "));
}

BOOST_AUTO_TEST_CASE(a_plain_server_is_told_from_a_tls_server) {
  // A web server answers a ClientHello with 400.
  raw_server http{[](raw_connection& peer, int) {
    (void)peer.read(10);
    peer.write("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    peer.wait_for_end();
  }};
  BOOST_TEST(final_error(http.tls_url(), {.tls = trusting()}) == "error tls TLS: the server speaks plain HTTP on this port and not TLS");
  raw_server noise{[](raw_connection& peer, int) {
    (void)peer.read(10);
    peer.write("SSH");
    peer.wait_for_end();
  }};
  BOOST_TEST(final_error(noise.tls_url(), {.tls = trusting()}) == "error tls TLS: the server's first bytes are not TLS");
}

BOOST_AUTO_TEST_CASE(garbage_inside_tls_records_is_refused) {
  raw_server server{[](raw_connection& peer, int) {
    (void)peer.read(10);
    peer.write(std::string("\x16\x03\x03\x00\x20", 5) + std::string(32, '\xee'));
    peer.wait_for_end();
  }};
  BOOST_TEST(final_error(server.tls_url(), {.tls = trusting()}).starts_with("error tls TLS: "));
}

BOOST_AUTO_TEST_CASE(a_server_that_goes_away_in_the_handshake_is_tried_again) {
  const auto context = certified("localhost");
  const auto hello_then_end = [](raw_connection& peer) { (void)peer.read(10); };
  BOOST_TEST(first_error(hello_then_end, context) == "error lost the server closed the connection in the TLS handshake");
  const auto reset = [](raw_connection& peer) {
    (void)peer.read(10);
    peer.reset();
  };
  BOOST_TEST(first_error(reset, context).starts_with("error lost "));
  // In the middle of the answer to the upgrade: a truncation, and one said with close_notify.
  const auto half = [&](raw_connection& peer) {
    (void)peer.start_tls(context);
    (void)peer.read_head();
    peer.write("HTTP/1.1 101 Switch");
  };
  BOOST_TEST(first_error(half, context) == "error lost the connection ended without close_notify");
  const auto half_and_notify = [&](raw_connection& peer) {
    half(peer);
    peer.close_notify();
  };
  BOOST_TEST(first_error(half_and_notify, context) == "error lost the connection was closed");
}

BOOST_AUTO_TEST_CASE(a_server_that_never_answers_the_hello_times_out) {
  recorder seen;
  raw_server server{[](raw_connection& peer, int) { peer.wait_for_end(); }};
  client c{server.tls_url(), {.tls = trusting(), .reconnect = never, .connect_timeout = 200ms}};
  seen.listen_to(c);
  c.start();
  BOOST_TEST(seen.wait_for("close 1006 unclean"));
  BOOST_TEST(seen.lines().front() == "error timed_out the TLS handshake was not finished in time");
}

BOOST_AUTO_TEST_CASE(a_truncated_connection_is_a_loss_and_comes_back) {
  recorder seen;
  raw_server server{accepting(certified("localhost"), [](raw_connection& peer, int number) {
    peer.write(frame_of(0x81, "hello"));
    if (number > 0) peer.wait_for_end();
  })};
  client c{server.tls_url(), {.tls = trusting(), .reconnect = at_once}};
  seen.listen_to(c);
  c.start();
  BOOST_TEST(seen.wait_for("message hello", 2));
  BOOST_TEST(seen.story() == "open | message hello | disconnected 1006 | reconnecting 1 | reconnected | message hello");
  BOOST_TEST(seen.lines().at(2) == "disconnected 1006 the connection ended without close_notify");
}

BOOST_AUTO_TEST_CASE(a_record_that_does_not_decrypt_is_a_loss_and_comes_back) {
  recorder seen;
  raw_server server{accepting(certified("localhost"), [](raw_connection& peer, int number) {
    if (number == 0) peer.write_raw(std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'c'));
    peer.wait_for_end();
  })};
  client c{server.tls_url(), {.tls = trusting(), .reconnect = at_once}};
  seen.listen_to(c);
  c.start();
  BOOST_TEST(seen.wait_for("reconnected"));
  BOOST_TEST(seen.story() == "open | disconnected 1006 | reconnecting 1 | reconnected");
}

BOOST_AUTO_TEST_CASE(a_session_is_resumed_on_reconnect) {
  for (const tls_version version : {tls_version::tls_1_2, tls_version::tls_1_3}) {
    recorder seen, got;
    raw_server server{accepting(certified("localhost", {.oldest = version, .newest = version}), [&](raw_connection& peer, int number) {
      got.add(peer.tls().agreement().resumed ? "resumed" : "full");
      // It has read what came before, a ticket included.
      unsigned op = 0;
      (void)peer.read_frame(op);
      if (number == 3) return peer.wait_for_end();
      // Each of the ways in which a connection is lost.
      if (number == 1) peer.reset();
      if (number == 2) peer.write(frame_of(0x88, std::string("\x03\xe9", 2)));
    })};
    client c{server.tls_url(), {.tls = trusting(), .reconnect = at_once}};
    seen.listen_to(c);
    c.on_open([&] { c.send_text("here"); });
    c.on_reconnected([&] {
      c.send_text("here");
      seen.add("reconnected");
    });
    c.start();
    BOOST_REQUIRE(seen.wait_for("reconnected", 3));
    BOOST_TEST(got.lines().at(0) == "full");
    // The client hears that it is back before the server's thread has noted how.
    BOOST_TEST(got.wait_for("resumed", 3));
  }
}

BOOST_AUTO_TEST_CASE(tls_goes_through_a_proxy) {
  recorder seen, got;
  const auto context = certified("other");
  raw_server proxy{[&](raw_connection& peer, int) {
    const std::string request = peer.read_head();
    got.add(request.substr(0, request.find("\r\n")));
    peer.write("HTTP/1.1 200 Connection established\r\n\r\n");
    if (!peer.start_tls(context)) return;
    got.add(fmt::format("sni {}", peer.tls().agreement().server_name));
    peer.accept_upgrade(peer.read_head());
    peer.write(frame_of(0x81, "through"));
    peer.wait_for_end();
  }};
  client c{"wss://other.test/room", {.proxy = fmt::format("http://127.0.0.1:{}", proxy.port()), .tls = trusting(), .reconnect = never}};
  seen.listen_to(c);
  c.start();
  BOOST_REQUIRE(seen.wait_for("message through"));
  BOOST_TEST(got.lines().at(0) == "CONNECT other.test:443 HTTP/1.1");
  BOOST_TEST(got.lines().at(1) == "sni other.test");
}

BOOST_AUTO_TEST_CASE(a_proxy_must_not_speak_before_tls) {
  raw_server proxy{[&](raw_connection& peer, int) {
    (void)peer.read_head();
    peer.write("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\n");
    peer.wait_for_end();
  }};
  BOOST_TEST(final_error("wss://other.test/", {.proxy = fmt::format("http://127.0.0.1:{}", proxy.port()), .tls = trusting()}) ==
             "error proxy the proxy sent bytes before TLS began");
}

BOOST_AUTO_TEST_CASE(what_cannot_be_loaded_is_refused_when_the_client_is_made) {
  BOOST_CHECK_THROW((client{"wss://localhost/", {.tls = {.ca_file = "/nowhere/ca.pem"}}}), std::invalid_argument);
  BOOST_CHECK_THROW(
      (client{"wss://localhost/", {.tls = {.certificate_chain_file = "/nowhere/c.pem", .verification = tls_verification::off_and_insecure}}}),
      std::invalid_argument);
}

BOOST_AUTO_TEST_CASE(clients_with_equal_options_share_one_context) {
  const auto one = tls_context::shared_client(trusting()), two = tls_context::shared_client(trusting()),
             other = tls_context::shared_client(trusting("foreign-ca"));
  BOOST_REQUIRE((one && two && other));
  BOOST_TEST(*one == *two);
  BOOST_TEST(*one != *other);
}

BOOST_AUTO_TEST_CASE(disconnecting_or_stopping_in_the_handshake_is_told_once) {
  recorder seen;
  raw_server server{[](raw_connection& peer, int) { peer.wait_for_end(); }};
  client c{server.tls_url(), {.tls = trusting(), .reconnect = at_once}};
  seen.listen_to(c);
  c.start();
  std::this_thread::sleep_for(20ms);
  c.disconnect();
  BOOST_TEST(seen.wait_for("close 1006"));
  BOOST_TEST(seen.story() == "close 1006");
  client stopped{server.tls_url(), {.tls = trusting(), .reconnect = at_once}};
  stopped.start();
  std::this_thread::sleep_for(20ms);
  stopped.stop();
}

BOOST_AUTO_TEST_CASE(a_server_knows_what_was_agreed_on_and_whose_certificate_it_was_shown) {
  server s{{.listen = {"127.0.0.1:0"},
            .listen_tls = {"127.0.0.1:0"},
            .tls = {.certificates = {{test_certificates().pem("localhost"), test_certificates().key("localhost"), {}}},
                    .client_ca_file = test_certificates().pem("ca"),
                    .session_tickets = false},
            .shards = 1}};
  const auto told = [](const std::optional<tls_details>& tls) {
    return tls ? tls->version + ' ' + tls->server_name + ' ' + tls->peer_subject : std::string{"plain"};
  };
  s.get("/coroutine", [told](request& req) -> task<void> {
    const std::string before = told(req.tls());
    websocket ws = co_await req.upgrade();
    co_await ws.send(before == told(ws.tls()) ? before : "they differ");
  });
  s.events("/events", {.on_open = [told](websocket_ref ws) { ws.send(told(ws.tls())); }});
  BOOST_REQUIRE(s.start().has_value());
  const auto hear = [](const std::string& url, const tls_client_options& tls) {
    std::string heard;
    client_loop loop;
    loop.run([&]() -> task<void> {
      coroutine_client c{url, {.tls = tls, .reconnect = never}};
      if (!co_await c.connect({.deadline = 10s})) co_return;
      if (const auto message = co_await c.receive({.deadline = 10s})) heard = message->text();
    });
    return heard;
  };
  auto with = trusting();
  with.certificate_chain_file = test_certificates().pem("client");
  with.certificate_key_file = test_certificates().key("client");
  const auto port_of = [](const std::string& address) { return address.substr(address.rfind(':')); };
  for (const std::string path : {"/coroutine", "/events"}) {
    const std::string heard = hear("wss://localhost" + port_of(s.tls_addresses().front()) + path, with);
    BOOST_TEST(heard.starts_with("TLSv1.3 localhost /"), heard);
    BOOST_TEST((heard.find("CN=client-7") != std::string::npos), heard);
    BOOST_TEST(hear("ws://127.0.0.1" + port_of(s.addresses().front()) + path, {}) == "plain");
  }
}

BOOST_AUTO_TEST_SUITE_END()
