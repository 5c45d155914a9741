// What an HTTP client hears of servers that answer well, badly, slowly or not at all, and that nothing of it is held beyond its bounds.
#include "tests/client/raw_server.hpp"
#include "tests/tls/certificates.hpp"
#include <ringcast/client_loop.hpp>
#include <ringcast/http_client.hpp>
#include <ringcast/sleep.hpp>
#include <ringcast/spawn.hpp>

#include <boost/test/unit_test.hpp>
#include <fmt/format.h>
#include <future>
#include <vector>

using namespace ringcast;
using namespace std::chrono_literals;
using test::test_certificates;

namespace {

http_client client_of(const std::string& url, const http_client_options& options = {}) {
  auto made = http_client::to(url, options);
  BOOST_REQUIRE_MESSAGE(made, (made ? "" : made.error()));
  return std::move(*made);
}

std::future<http_result> begin(http_client& to, http_message what) {
  const auto told = std::make_shared<std::promise<http_result>>();
  auto answer = told->get_future();
  to.send(std::move(what), [told](http_result came) { told->set_value(std::move(came)); });
  return answer;
}

http_result ask(http_client& to, http_message what = {.body = "question"}) { return begin(to, std::move(what)).get(); }

std::string http_url(const raw_server& s) { return fmt::format("http://127.0.0.1:{}/ask?a=1", s.port()); }

// A request as it comes: its head, and its body by Content-Length.
std::string read_request(raw_connection& peer) {
  std::string head = peer.read_head();
  if (head.empty()) return head;
  return head + peer.read(std::stoul(header_of(head, "Content-Length")));
}

std::string words_of(const http_result& answer) {
  return answer ? fmt::format("{} {} {}", answer->status, answer->content_type, answer->body) : std::string{name_of(answer.error().why)};
}

// What somebody hears whose server says this to each request and ends the connection.
std::string said(std::string_view text, const http_client_options& options = {}, const http_message& what = {.body = "question"}) {
  raw_server server{[&](raw_connection& peer, int) {
    (void)read_request(peer);
    peer.write(text);
  }};
  http_client client = client_of(http_url(server), options);
  return words_of(ask(client, what));
}

constexpr std::string_view plain_answer = "HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nContent-Length: 4\r\n\r\nfine";

} // namespace

BOOST_AUTO_TEST_SUITE(http_clients)

BOOST_AUTO_TEST_CASE(a_request_is_sent_whole_and_its_answer_comes_with_status_type_and_body) {
  std::string request;
  raw_server server{[&](raw_connection& peer, int) {
    request = read_request(peer);
    peer.write(plain_answer);
  }};
  http_client client = client_of(http_url(server));
  BOOST_TEST(words_of(ask(client, {.headers = "X-One: 1\r\n", .body = "question"})) == "200 text/x fine");
  BOOST_TEST(request == fmt::format("POST /ask?a=1 HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Length: 8\r\nContent-Type: application/json\r\nX-One: "
                                    "1\r\n\r\nquestion",
                                    server.port()));
}

BOOST_AUTO_TEST_CASE(every_way_in_which_a_body_may_end_is_understood) {
  BOOST_TEST(said("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n") == "403  ");
  BOOST_TEST(said("HTTP/1.0 200 OK\r\n\r\nto the end") == "200  to the end");
  BOOST_TEST(said("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n") == "200  abcde");
  BOOST_TEST(said("HTTP/1.1 204 No Content\r\n\r\n") == "204  ");
  BOOST_TEST(said("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n") == "304  ");
  BOOST_TEST(said("HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx") == "200  x");
  BOOST_TEST(said("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", {}, {.method = "HEAD"}) == "200  ");
  BOOST_TEST(said("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n") == "302  "); // is not followed
}

BOOST_AUTO_TEST_CASE(an_answer_byte_by_byte_is_the_same_answer) {
  raw_server server{[](raw_connection& peer, int) {
    (void)read_request(peer);
    for (const char each : std::string_view{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"}) {
      peer.write({&each, 1});
      std::this_thread::sleep_for(1ms);
    }
  }};
  http_client client = client_of(http_url(server));
  BOOST_TEST(words_of(ask(client)) == "200  abc");
}

BOOST_AUTO_TEST_CASE(garbage_and_a_peer_that_dies_in_any_state_are_told_as_what_they_are) {
  BOOST_TEST(said("") == "lost");
  BOOST_TEST(said("SSH-2.0-OpenSSH_9.2\r\n\r\n") == "not_http");
  BOOST_TEST(said("HTTP/2.0 200 OK\r\n\r\n") == "not_http");
  BOOST_TEST(said("HTTP/1.1 200 OK\nContent-Length: 0\n\n") == "not_http");
  BOOST_TEST(said("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n12") == "not_http");
  BOOST_TEST(said("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n") == "not_http");
  BOOST_TEST(said("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n") == "not_http");
  BOOST_TEST(said("HTTP/1.1 200 O") == "lost");
  BOOST_TEST(said("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfour") == "lost");
  BOOST_TEST(said("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfour") == "lost");
  std::string interim;
  for (int i = 0; i < 9; ++i) interim += "HTTP/1.1 100 Continue\r\n\r\n";
  BOOST_TEST(said(interim + std::string{plain_answer}) == "not_http");
  http_client nobody = client_of(fmt::format("http://127.0.0.1:{}/", unused_port()));
  BOOST_TEST(words_of(ask(nobody)) == "unreachable");
}

BOOST_AUTO_TEST_CASE(heads_and_bodies_have_a_bound_however_they_are_told) {
  const http_client_options ten{.answer_bytes_max = 10};
  BOOST_TEST(said("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789", ten) == "200  0123456789");
  BOOST_TEST(said("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n0123456789a", ten) == "too_large");
  BOOST_TEST(said("HTTP/1.0 200 OK\r\n\r\n0123456789", ten) == "200  0123456789");
  BOOST_TEST(said("HTTP/1.0 200 OK\r\n\r\n0123456789a", ten) == "too_large");
  BOOST_TEST(said("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n", ten) == "200  0123456789");
  BOOST_TEST(said("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n0123456789a\r\n0\r\n\r\n", ten) == "too_large");
  BOOST_TEST(said("HTTP/1.1 200 OK\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n") == "too_large");
}

BOOST_AUTO_TEST_CASE(a_peer_that_hangs_or_sends_a_byte_now_and_then_has_the_time_of_the_request) {
  std::atomic<bool> over = false;
  const auto hangs = [&](std::string_view in_front) {
    raw_server server{[&](raw_connection& peer, int) {
      peer.write(in_front);
      while (!over && !peer.has_more(5ms)) peer.write(in_front.empty() ? "" : "x");
      while (!over) std::this_thread::sleep_for(5ms);
    }};
    http_client client = client_of(http_url(server), {.timeout = 100ms});
    over = false;
    const std::string words = words_of(ask(client));
    over = true;
    return words;
  };
  BOOST_TEST(hangs("") == "timed_out");
  BOOST_TEST(hangs("HTTP/1.1 200 OK\r\nX: ") == "timed_out");
  BOOST_TEST(hangs("HTTP/1.1 200 OK\r\nContent-Length: 30000\r\n\r\n") == "timed_out");
}

BOOST_AUTO_TEST_CASE(a_connection_is_kept_for_the_next_request_unless_the_answer_says_otherwise) {
  raw_server server{[](raw_connection& peer, int) {
    for (std::string request = read_request(peer); !request.empty(); request = read_request(peer)) {
      if (request.ends_with("last")) {
        peer.write("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nfine");
        return;
      }
      peer.write(plain_answer);
    }
  }};
  http_client client = client_of(http_url(server), {.connections = 1});
  for (int i = 0; i < 5; ++i) BOOST_TEST(words_of(ask(client)) == "200 text/x fine");
  BOOST_TEST(server.connections() == 1);
  BOOST_TEST(words_of(ask(client, {.body = "last"})) == "200  fine");
  BOOST_TEST(words_of(ask(client)) == "200 text/x fine");
  BOOST_TEST(server.connections() == 2);
}

BOOST_AUTO_TEST_CASE(what_is_asked_on_a_kept_connection_that_has_ended_is_asked_again_only_if_it_may_be) {
  // The second request of each connection is read, and not answered.
  const auto second_of = [](bool is_repeatable) {
    std::atomic<int> read = 0;
    raw_server server{[&](raw_connection& peer, int) {
      (void)read_request(peer);
      ++read;
      peer.write(plain_answer);
      if (!read_request(peer).empty()) ++read;
    }};
    http_client client = client_of(http_url(server), {.connections = 1});
    (void)ask(client);
    const std::string words = words_of(ask(client, {.body = "b", .is_repeatable = is_repeatable}));
    return fmt::format("{}, {} connections, {} read", words, server.connections(), read.load());
  };
  BOOST_TEST(second_of(true) == "200 text/x fine, 2 connections, 3 read");
  BOOST_TEST(second_of(false) == "lost, 1 connections, 2 read");
}

BOOST_AUTO_TEST_CASE(a_kept_connection_on_which_the_peer_has_said_something_is_not_used) {
  raw_server server{[](raw_connection& peer, int) {
    (void)read_request(peer);
    peer.write(std::string{plain_answer} + "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged");
    peer.wait_for_end();
  }};
  http_client client = client_of(http_url(server), {.connections = 1});
  for (int i = 0; i < 2; ++i) BOOST_TEST(words_of(ask(client)) == "200 text/x fine");
  BOOST_TEST(server.connections() == 2);
}

BOOST_AUTO_TEST_CASE(what_waits_for_a_connection_is_bounded_and_an_end_lets_go_of_all_of_it) {
  std::promise<void> came;
  raw_server server{[&](raw_connection& peer, int) {
    (void)read_request(peer);
    came.set_value();
    peer.wait_for_end();
  }};
  std::vector<std::future<http_result>> answers;
  {
    http_client client = client_of(http_url(server), {.connections = 1, .waiting_max = 2, .timeout = 60s});
    answers.push_back(begin(client, {}));
    came.get_future().wait();
    for (int i = 0; i < 3; ++i) answers.push_back(begin(client, {}));
    BOOST_TEST(words_of(answers.back().get()) == "busy");
    answers.pop_back();
  }
  for (auto& each : answers) BOOST_TEST(words_of(each.get()) == "stopped");
}

BOOST_AUTO_TEST_CASE(a_coroutine_waits_without_holding_up_its_shard_and_its_deadline_ends_the_wait) {
  raw_server server{[](raw_connection& peer, int) {
    const std::string request = read_request(peer);
    if (request.ends_with("hang")) return peer.wait_for_end();
    std::this_thread::sleep_for(50ms);
    peer.write(plain_answer);
  }};
  std::string fine, hung;
  int turns = 0;
  {
    http_client client = client_of(http_url(server));
    client_loop loop;
    loop.run([&]() -> task<void> {
      const task_handle beside = spawn([](int& count) -> task<void> {
        while (co_await sleep_for(1ms) == sleep_result::elapsed) ++count;
      }(turns));
      fine = words_of(co_await client.send({.body = "question"}));
      hung = words_of(co_await client.send({.body = "hang"}, {.deadline = 20ms}));
      beside.cancel();
      co_await beside.join();
    });
  }
  BOOST_TEST(fine == "200 text/x fine");
  BOOST_TEST(hung == "timed_out");
  BOOST_TEST(turns > 5);
}

BOOST_AUTO_TEST_CASE(tls_is_spoken_with_who_is_trusted_and_a_cut_is_no_end) {
  const auto server_with = [](const std::string& name) {
    auto loaded = tls_context::load_server({.certificates = {{test_certificates().pem(name), test_certificates().key(name), {}}}});
    BOOST_REQUIRE(loaded.has_value());
    return *loaded;
  };
  const http_client_options trusting{.tls = {.ca_file = test_certificates().pem("ca")}};
  const auto asked = [&](std::string_view answer, bool notify, const http_client_options& options) {
    raw_server server{[&, context = server_with("localhost")](raw_connection& peer, int) {
      if (!peer.start_tls(context)) return;
      (void)read_request(peer);
      peer.write(answer);
      if (notify) peer.close_notify();
    }};
    http_client client = client_of(fmt::format("https://localhost:{}/", server.port()), options);
    return words_of(ask(client));
  };
  BOOST_TEST(asked(plain_answer, true, trusting) == "200 text/x fine");
  BOOST_TEST(asked("HTTP/1.0 200 OK\r\n\r\nto the end", true, trusting) == "200  to the end");
  BOOST_TEST(asked("HTTP/1.0 200 OK\r\n\r\nto the end", false, trusting) == "tls");
  BOOST_TEST(asked(plain_answer, true, {.tls = {.ca_file = test_certificates().pem("foreign-ca")}}) == "certificate");
  raw_server plain{[](raw_connection& peer, int) { peer.write("HTTP/1.1 400 this speaks no TLS\r\n\r\n"); }};
  http_client client = client_of(fmt::format("https://localhost:{}/", plain.port()), trusting);
  BOOST_TEST(words_of(ask(client)) == "tls");
}

BOOST_AUTO_TEST_CASE(a_url_that_cannot_be_asked_is_refused_in_words) {
  for (const std::string wrong : {"", "ws://127.0.0.1/", "127.0.0.1", "http://", "http://a:99999/"}) {
    const auto made = http_client::to(wrong);
    BOOST_TEST(!made.has_value());
    if (!made) BOOST_TEST(!made.error().empty());
  }
  BOOST_TEST(!http_client::to("https://localhost/", {.tls = {.ca_file = "/nowhere"}}).has_value());
}

BOOST_AUTO_TEST_SUITE_END()
