// What a program says with its answers, and which of its handlers is asked: headers, methods, wildcards, what stands around handlers.
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

using namespace ringcast;

namespace {

std::string request_of(std::string_view method, std::string_view target, std::string_view headers = {}) {
  return std::string{method} + ' ' + std::string{target} + " HTTP/1.1\r\nHost: t\r\n" + std::string{headers} + "\r\n";
}

std::string ask(running& server, std::string_view method, std::string_view target, std::string_view headers = {}) {
  return wire_client{server.address()}.http(request_of(method, target, headers));
}

bool has(const std::string& answer, std::string_view part) { return answer.find(part) != std::string::npos; }

} // namespace

BOOST_AUTO_TEST_SUITE(responses)

BOOST_AUTO_TEST_CASE(headers_stand_in_every_answer_of_a_request_and_in_the_101) {
  running server{[](auto& s) {
    const auto with_cookies = [](request& req) -> task<void> {
      req.add_header("Set-Cookie", "a=1; HttpOnly");
      req.add_header("Set-Cookie", "b=2");
      if (req.path("how") == "ok") co_return req.respond(status::ok, "fine");
      if (req.path("how") == "moved") co_return req.add_header("Location", "/there"), req.respond(status::found);
      if (req.path("how") == "missing") co_return req.respond(status::not_found, "no such thing");
      websocket ws = co_await req.upgrade({.subprotocols = {"chat"}});
      co_await ws.send("hello");
    };
    s.get("/coroutine/{how}", with_cookies);
    s.events("/events/{how}", {.on_upgrade = [](upgrade_request_view& up) {
               up.add_header("Set-Cookie", "c=3");
               if (up.request().parameter("how") == "refused") up.refuse(http_status::unauthorized, "who are you?");
             }});
  }};
  for (const std::string_view how : {"ok", "moved", "missing"}) {
    const std::string answer = ask(server, "GET", "/coroutine/" + std::string{how});
    BOOST_TEST(has(answer, "\r\nSet-Cookie: a=1; HttpOnly\r\nSet-Cookie: b=2\r\n"), answer);
    BOOST_TEST(has(answer, "\r\nLocation: /there\r\n") == (how == "moved"), answer);
  }
  wire_client c{server.address()}, refused{server.address()}, taken{server.address()};
  const std::string upgraded = c.upgrade("/coroutine/upgrade", "Sec-WebSocket-Protocol: chat\r\n");
  BOOST_TEST(upgraded.starts_with("HTTP/1.1 101"), upgraded);
  BOOST_TEST(has(upgraded, "\r\nSet-Cookie: a=1; HttpOnly\r\nSet-Cookie: b=2\r\n"), upgraded);
  BOOST_TEST(c.text() == "hello");
  const std::string why = refused.upgrade("/events/refused");
  BOOST_TEST(why.starts_with("HTTP/1.1 401"), why);
  BOOST_TEST(has(why, "\r\nSet-Cookie: c=3\r\n"), why);
  BOOST_TEST(has(taken.upgrade("/events/fine"), "\r\nSet-Cookie: c=3\r\n"));
}

// RFC 9112 11.1: what a peer has said must not become a header of its own.
BOOST_AUTO_TEST_CASE(a_header_that_would_break_the_head_is_refused_where_it_is_written) {
  running server{[](auto& s) {
    s.get("/{which}", [](request& req) {
      const auto says = [&](std::string_view name, std::string_view value) {
        try {
          req.add_header(name, value);
          return "taken";
        } catch (const std::invalid_argument&) {
          return "refused";
        } catch (const std::length_error&) {
          return "too long";
        }
      };
      std::string said = says("X-Fine", "\tv\xc3\xa4lue");
      for (const auto& [name, value] : std::vector<std::pair<std::string, std::string>>{{"X", "a\r\nX-Evil: 1"},
                                                                                        {"X", "a\nb"},
                                                                                        {"X", std::string(1, '\0')},
                                                                                        {"", "a"},
                                                                                        {"X Y", "a"},
                                                                                        {"X:", "a"},
                                                                                        {"X\r\nY", "a"},
                                                                                        {"content-length", "0"},
                                                                                        {"Transfer-Encoding", "chunked"},
                                                                                        {"Connection", "close"},
                                                                                        {"Sec-WebSocket-Accept", "x"}})
        said += std::string{" "} + says(name, value);
      said += std::string{" "} + says("X-Long", std::string(17'000, 'x'));
      req.respond(status::ok, said);
    });
  }};
  const std::string answer = ask(server, "GET", "/x");
  std::string expected = "taken";
  for (int i = 0; i < 11; ++i) expected += " refused";
  BOOST_TEST(answer.ends_with("\r\n\r\n" + expected + " too long"), answer);
  BOOST_TEST(!has(answer, "X-Evil"));
}

BOOST_AUTO_TEST_CASE(every_method_has_its_handler_and_a_handler_may_be_a_plain_function) {
  running server{[](auto& s) {
    const auto say = [](request& req) { req.respond(status::ok, std::string{req.method()} + ' ' + std::string{req.body_text()}); };
    s.get("/thing", say);
    s.put("/thing", say);
    s.del("/thing", say);
    s.route("PATCH", "/thing", say);
    s.get("/throws", [](request&) { throw std::runtime_error("no"); });
  }};
  BOOST_TEST(ask(server, "PUT", "/thing", "Content-Length: 0\r\n").ends_with("\r\n\r\nPUT "));
  for (const std::string_view method : {"GET", "DELETE", "PATCH"})
    BOOST_TEST(ask(server, method, "/thing").ends_with("\r\n\r\n" + std::string{method} + " "));
  const std::string other = ask(server, "POST", "/thing");
  BOOST_TEST(other.starts_with("HTTP/1.1 405"));
  BOOST_TEST(has(other, "\r\nAllow: GET, HEAD, PUT, DELETE, PATCH\r\n"), other);
  set_log_level(log_level::off);
  BOOST_TEST(ask(server, "GET", "/throws").starts_with("HTTP/1.1 500"));
  set_log_level(log_level::info);
}

BOOST_AUTO_TEST_CASE(a_wildcard_takes_the_rest_of_a_path) {
  running server{[](auto& s) {
    s.get("/files/index", [](request& req) { req.respond(status::ok, "the index"); });
    s.get("/files/{owner}/about", [](request& req) { req.respond(status::ok, "about " + std::string{req.path("owner")}); });
    s.get("/files/*", [](request& req) { req.respond(status::ok, "[" + std::string{req.path("*")} + "]"); });
    s.route("OPTIONS", "/*", [](request& req) { req.respond(status::no_content); });
  }};
  const auto body = [&](std::string_view target) {
    const std::string answer = ask(server, "GET", target);
    return answer.substr(answer.find("\r\n\r\n") + 4);
  };
  BOOST_TEST(body("/files/index") == "the index");
  BOOST_TEST(body("/files/eve/about") == "about eve");
  BOOST_TEST(body("/files/") == "[]");
  BOOST_TEST(body("/files/a") == "[a]");
  BOOST_TEST(body("/files/a/b%20c/d?x=1") == "[a/b c/d]");
  BOOST_TEST(body("/files//") == "[/]");
  BOOST_TEST(body("/files/%2e%2e/x") == "[../x]"); // decoded, and not resolved: it is not a path of a file system
  BOOST_TEST(ask(server, "GET", "/files").starts_with("HTTP/1.1 405")); // only OPTIONS is there
  BOOST_TEST(ask(server, "GET", "/files/%zz").starts_with("HTTP/1.1 400"));
  BOOST_TEST(ask(server, "OPTIONS", "/files/a").starts_with("HTTP/1.1 204"));
  BOOST_TEST(ask(server, "OPTIONS", "/").starts_with("HTTP/1.1 204"));
}

BOOST_AUTO_TEST_CASE(what_stands_around_handlers_adds_headers_answers_itself_and_waits) {
  running server{[](auto& s) {
    const auto hello = [](request& req) { req.respond(status::ok, "hello"); };
    s.get("/open", hello); // before any of them
    s.use([](request& req, const request_handler& next) -> task<void> {
      req.add_header("Access-Control-Allow-Origin", "*");
      co_await next(req);
    });
    s.use([](request& req, const request_handler& next) -> task<void> {
      co_await sleep_for(std::chrono::milliseconds(1));
      if (req.header("Authorization").empty()) co_return req.respond(status::unauthorized, "who are you?");
      co_await next(req);
    });
    s.get("/guarded", hello);
    s.get("/echo", [](request& req) -> task<void> {
      websocket ws = co_await req.upgrade();
      while (auto message = co_await ws.receive()) co_await ws.send(*message);
    });
  }};
  const std::string open = ask(server, "GET", "/open");
  BOOST_TEST(open.ends_with("hello"));
  BOOST_TEST(!has(open, "Access-Control"));
  const std::string refused = ask(server, "GET", "/guarded");
  BOOST_TEST(refused.starts_with("HTTP/1.1 401"));
  BOOST_TEST(has(refused, "\r\nAccess-Control-Allow-Origin: *\r\n"));
  const std::string let_in = ask(server, "GET", "/guarded", "Authorization: me\r\n");
  BOOST_TEST(let_in.ends_with("hello"));
  BOOST_TEST(has(let_in, "\r\nAccess-Control-Allow-Origin: *\r\n"));
  wire_client c{server.address()};
  BOOST_TEST(has(c.upgrade("/echo", "Authorization: me\r\n"), "\r\nAccess-Control-Allow-Origin: *\r\n"));
  c.send(opcode::text, "x");
  BOOST_TEST(c.text() == "x");
}

BOOST_AUTO_TEST_CASE(a_query_that_is_absent_differs_from_one_that_is_empty) {
  running server{[](auto& s) {
    s.get("/q", [](request& req) {
      const auto given = req.find_query("x");
      req.respond(status::ok, (given ? "[" + *given + "]" : "absent") + req.query("x"));
    });
  }};
  BOOST_TEST(ask(server, "GET", "/q").ends_with("\r\n\r\nabsent"));
  BOOST_TEST(ask(server, "GET", "/q?x=").ends_with("\r\n\r\n[]"));
  BOOST_TEST(ask(server, "GET", "/q?x=1").ends_with("\r\n\r\n[1]1"));
}

BOOST_AUTO_TEST_CASE(what_is_sent_is_text_of_any_kind_and_bytes_of_anything_contiguous) {
  running server{[](auto& s) {
    s.get("/coroutine", [](request& req) -> task<void> {
      websocket ws = co_await req.upgrade();
      co_await ws.send("a literal");
      co_await ws.send(std::string{"a string"});
      co_await ws.send_binary(std::vector<std::uint16_t>{0x4142, 0x4344});
      co_await ws.send_binary(std::array<char, 3>{'x', 'y', 'z'});
      co_await ws.send_binary(std::string{"text as bytes"});
      co_await ws.send_binary(std::as_bytes(std::span{"ab", 2}));
      ws.try_send("tried");
      ws.try_send_binary(std::vector<std::byte>{std::byte{'b'}});
      auto [to, from] = std::move(ws).split();
      to.send("from a sender");
      (void)co_await from.receive();
    });
    s.events("/events", {.on_open = [](websocket_ref ws) {
               ws.send("a literal");
               ws.send_binary(std::vector<char>{'v'});
             }});
  }};
  wire_client c{server.address()}, e{server.address()};
  (void)c.upgrade("/coroutine");
  for (const std::string_view expected : {"a literal", "a string", "BADC", "xyz", "text as bytes", "ab", "tried", "b", "from a sender"}) {
    const auto frame = c.receive();
    BOOST_REQUIRE(frame.has_value());
    BOOST_TEST(frame->payload == expected);
  }
  (void)e.upgrade("/events");
  BOOST_TEST(e.text() == "a literal");
  BOOST_TEST((e.receive().value().op == opcode::binary));
}

BOOST_AUTO_TEST_CASE(an_endpoint_may_have_a_limit_of_its_own) {
  const auto echo = [](std::optional<std::uint64_t> most) {
    return [most](request& req) -> task<void> {
      websocket ws = co_await req.upgrade({.message_bytes_max = most});
      while (auto message = co_await ws.receive()) co_await ws.send(*message);
    };
  };
  running server{[&](auto& s) {
                   s.get("/small", echo(100));
                   s.get("/large", echo(300'000));
                   s.get("/usual", echo(std::nullopt));
                   s.events("/small-too", {.on_message = [](websocket_ref ws, const message_view& m) { ws.send(m); }, .message_bytes_max = 100});
                 },
                 {.limits = {.message_bytes_max = 1'000}}};
  struct expected {
    std::string path;
    std::size_t most;
  };
  for (const auto& [path, most] : {expected{"/small", 100}, {"/large", 300'000}, {"/usual", 1'000}, {"/small-too", 100}}) {
    wire_client c{server.address()};
    (void)c.upgrade(path);
    c.send(opcode::text, std::string(most, 'x'));
    BOOST_TEST((c.text() == std::string(most, 'x')), path);
    c.send(opcode::text, std::string(most / 2, 'x'), false); // in fragments, too
    c.send(opcode::continuation, std::string(most - most / 2, 'x'));
    BOOST_TEST((c.text() == std::string(most, 'x')), path);
    c.send(opcode::text, std::string(most + 1, 'x'));
    BOOST_TEST(c.text() == "<close 1009>", path);
  }
}

BOOST_AUTO_TEST_SUITE_END()
