// Nothing between the received bytes and the 101 response allocates: counted by replacing operator new for this
// program.
#include "proto/handshake.hpp"
#include "proto/http_body.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <cstdlib>
#include <new>
#include <string>

namespace {
std::atomic<std::size_t> allocations{0};
}

void* operator new(std::size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* const p = std::malloc(bytes == 0 ? 1 : bytes)) return p;
  throw std::bad_alloc{};
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }

using namespace ringcast;

BOOST_AUTO_TEST_SUITE(no_allocation)

BOOST_AUTO_TEST_CASE(is_made_by_a_handshake_of_either_role) {
  constexpr std::array<std::string_view, 2> subprotocols{"chat", "superchat"};
  const deflate_offer offer;
  request_head request;
  response_head response;
  std::array<char, 1024> out;
  std::array<char, 1024> back;
  const std::array<http_header, 1> extra{http_header{"Origin", "http://a"}};

  const std::size_t before = allocations.load();
  const auto offer_text = write_deflate_offer(offer);
  std::array<std::byte, 16> random{};
  const auto key = make_websocket_key(random);
  const std::string_view key_text{key.data(), key.size()};
  const auto request_bytes = write_upgrade_request(
      out, {.host = "a", .target = "/", .key = key_text, .subprotocols = subprotocols, .extensions = offer_text.view(), .headers = extra});
  const auto parsed = parse_request_head(std::as_bytes(std::span{out}.first(*request_bytes)), {}, request);
  const auto check = check_upgrade(request);
  const auto accepted = negotiate_deflate(request, {});
  const auto response_bytes =
      write_accept_response(back, check.key, choose_subprotocol(request, subprotocols), accepted->response_value(), "Server: x\r\n");
  const auto answered = parse_response_head(std::as_bytes(std::span{back}.first(response_bytes)), {}, response);
  const auto opened = check_upgrade_response(response, key_text, subprotocols, &offer);
  const auto refused = parse_request_head(std::as_bytes(std::span{"GET / HTTP/1.1\r\n\r\n", 18}), {}, request);
  const std::size_t after = allocations.load();

  BOOST_TEST(after == before);
  BOOST_TEST((parsed.status == head_status::done));
  BOOST_TEST(check.ok);
  BOOST_TEST((answered.status == head_status::done));
  BOOST_TEST_REQUIRE(opened.has_value());
  BOOST_TEST(opened->subprotocol == "chat");
  BOOST_TEST((opened->deflate == accepted->params));
  BOOST_TEST((refused.status == head_status::bad));
  // That the count counts.
  ::operator delete(::operator new(1));
  BOOST_TEST(allocations.load() > after);
}

BOOST_AUTO_TEST_SUITE_END()
