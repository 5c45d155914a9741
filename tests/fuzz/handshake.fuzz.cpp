// The fuzz target of the opening handshake, the negotiation of extensions, URLs and percent-encoding. How it works:
// 1. The first two bytes of the input choose what the rest is (a request, a response, a URL) and the server's policy.
// 2. A request that the server accepts is answered, and the answer is read by our own client: it must accept it, with
// the same
//    subprotocol and the same parameters.
// 3. A response is checked by the client; what it accepts must be what was offered.
// 4. A URL that is accepted must be the same when it is put together and read again, and fit into a request as it is.
#include "proto/handshake.hpp"
#include "proto/percent.hpp"
#include "proto/url.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

using namespace ringcast;

namespace {

constexpr std::array<std::string_view, 3> subprotocols{"chat", "superchat", "mqtt"};
constexpr std::string_view sample_key = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr http_limits limits{.head_bytes_max = 1 << 16, .line_bytes_max = 1 << 15};

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

bool in_range(const deflate_params& params) {
  return params.server_max_window_bits >= 8 && params.server_max_window_bits <= 15 && params.client_max_window_bits >= 8 &&
         params.client_max_window_bits <= 15;
}

void check_request(std::span<const std::byte> bytes, std::uint8_t choice) {
  request_head request;
  if (parse_request_head(bytes, limits, request).status != head_status::done) return;
  const deflate_policy policy{.enabled = (choice & 1) == 0,
                              .server_no_context_takeover = (choice & 2) != 0,
                              .client_no_context_takeover = (choice & 4) != 0,
                              .server_max_window_bits = static_cast<std::uint8_t>((choice & 8) != 0 ? 10 : 15),
                              .server_min_window_bits = static_cast<std::uint8_t>((choice & 16) != 0 ? 9 : 8),
                              .client_max_window_bits = static_cast<std::uint8_t>((choice & 32) != 0 ? 12 : 15)};
  const auto check = check_upgrade(request);
  const auto subprotocol = choose_subprotocol(request, subprotocols);
  const auto accepted = negotiate_deflate(request, policy);
  require(!check.ok || is_websocket_upgrade(request), "only an upgrade is accepted");
  require(check.ok || (!check.why.empty() && to_number(check.error) >= 400), "a refusal says why");
  require(!accepted || in_range(accepted->params), "window bits are 8 to 15");
  require(!accepted || extensions_well_formed(request), "nothing is accepted from a malformed header");
  if (!check.ok) return;

  require(extensions_well_formed(request), "an accepted handshake is well formed");
  std::array<char, 1024> out;
  const std::string_view extensions = accepted ? accepted->response_value() : std::string_view{};
  const auto size = write_accept_response(out, check.key, subprotocol, extensions);
  require(size != 0 && size <= accept_response_bytes_base + subprotocol.size() + extensions.size(), "the answer fits");
  response_head response;
  const auto answer = std::as_bytes(std::span{out}.first(size));
  require(parse_response_head(answer, limits, response).status == head_status::done, "the answer is a head");
  require(response.head_bytes == size, "all of the answer is the head");
  const deflate_offer offer;
  const auto opened = check_upgrade_response(response, check.key, subprotocols, &offer);
  require(opened.has_value(), "our client accepts what our server answers");
  require(opened->subprotocol == subprotocol, "the same subprotocol");
  require(opened->deflate.has_value() == accepted.has_value(), "compression on both sides or on none");
  require(!accepted || *opened->deflate == accepted->params, "the same parameters");
}

void check_response(std::span<const std::byte> bytes, std::uint8_t choice) {
  response_head response;
  if (parse_response_head(bytes, limits, response).status != head_status::done) return;
  deflate_offer offer{.server_no_context_takeover = (choice & 1) != 0, .allow_client_max_window_bits = (choice & 2) != 0};
  if ((choice & 4) != 0) offer.server_max_window_bits = 10;
  if ((choice & 8) != 0) offer.client_max_window_bits = 12;
  const bool offered = (choice & 16) == 0;
  const auto result = check_upgrade_response(response, sample_key, subprotocols, offered ? &offer : nullptr);
  if (!result) {
    require(!result.error().why.empty(), "a failure says why");
    return;
  }
  require(response.status_code == 101, "only 101 opens a WebSocket");
  require(result->subprotocol.empty() || std::ranges::find(subprotocols, result->subprotocol) != subprotocols.end(), "one that was offered");
  if (!result->deflate) return;
  require(offered && in_range(*result->deflate), "only what was offered");
  require(!offer.server_no_context_takeover || result->deflate->server_no_context_takeover, "a demand was met");
  require(result->deflate->server_max_window_bits <= offer.server_max_window_bits.value_or(15), "a smaller window or the same");
}

void check_url(std::string_view text) {
  if (const auto decoded = percent_decode(text)) {
    require(decoded->size() <= text.size(), "decoding does not grow");
    require(percent_decode(percent_encode(*decoded)) == *decoded, "encoding can be undone");
  }
  if (query_value(text, "name")) require(has_query_parameter(text, "name"), "a value has a parameter");

  const auto first = parse_url(text);
  if (!first) {
    require(!first.error().empty(), "a refusal says why");
    return;
  }
  constexpr std::array<std::string_view, 4> schemes{"ws://", "wss://", "http://", "https://"};
  std::string again{schemes[static_cast<std::size_t>(first->scheme)]};
  if (first->has_userinfo) again += percent_encode(first->user) + ":" + percent_encode(first->password) + "@";
  again += first->authority() + first->target;
  const auto second = parse_url(again);
  require(second.has_value(), "a URL that is put together is one");
  require(second->host == first->host && second->port == first->port && second->target == first->target && second->kind == first->kind &&
              second->scheme == first->scheme && second->user == first->user && second->password == first->password,
          "it is the same URL");

  const std::string host = first->host_field();
  const std::string authorization = first->basic_authorization();
  const http_header header{"Authorization", authorization};
  const upgrade_request request{.host = host,
                                .target = first->target,
                                .key = sample_key,
                                .subprotocols = subprotocols,
                                .extensions = {},
                                .headers = {&header, first->has_userinfo ? 1U : 0U}};
  std::string out(upgrade_request_bytes_max(request), '\0');
  const auto size = write_upgrade_request(out, request);
  require(size.has_value(), "a URL fits into a request");
  request_head head;
  const auto bytes = std::as_bytes(std::span{out}.first(*size));
  require(parse_request_head(bytes, limits, head).status == head_status::done, "the request is a head");
  require(check_upgrade(head).ok && head.target == first->target && head.host == host, "our server accepts it");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  // Memory without a byte to spare, so that the address sanitizer sees a read of one too many.
  const std::size_t text_size = size - 2;
  const auto memory = std::make_unique<char[]>(text_size);
  std::copy_n(reinterpret_cast<const char*>(data + 2), text_size, memory.get());
  const std::string_view text{memory.get(), text_size};
  switch (data[0] % 3) {
  case 0: check_request(std::as_bytes(std::span{text}), data[1]); break;
  case 1: check_response(std::as_bytes(std::span{text}), data[1]); break;
  default: check_url(text); break;
  }
  return 0;
}
