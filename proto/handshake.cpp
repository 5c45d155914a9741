#include "proto/handshake.hpp"

#include "proto/authority.hpp"
#include "proto/http_scan.hpp"
#include "proto/sha1.hpp"
#include <ringcast/base64.hpp>

#include <algorithm>
#include <cstring>

namespace ringcast {

namespace {

// RFC 6455 section 1.3: "258EAFA5-E914-47DA-95CA-C5AB0DC85B11".
constexpr std::string_view guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
constexpr std::string_view subprotocol_header = "Sec-WebSocket-Protocol";

// Far above what any client sends; keeps the search for repetitions short.
constexpr std::size_t subprotocols_max = 64;

upgrade_check refuse(http_status error, std::string_view why) noexcept { return {.ok = false, .error = error, .why = why, .key = {}}; }

// RFC 6455 section 4.1: "The elements that comprise this value MUST be non-empty strings ... and MUST all be unique
// strings."
bool subprotocols_well_formed(const http_fields& head) noexcept {
  std::array<std::string_view, subprotocols_max> seen;
  std::size_t count = 0;
  bool present = false;
  const bool sound = head.for_each(subprotocol_header, [&](std::string_view list) {
    present = true;
    return for_each_list_element(list, [&](std::string_view name) {
      if (count == seen.size() || !is_token(name)) return false;
      if (std::find(seen.begin(), seen.begin() + count, name) != seen.begin() + count) return false;
      seen[count++] = name;
      return true;
    });
  });
  return sound && (!present || count != 0);
}

bool is_websocket_key(std::string_view key) noexcept {
  std::array<std::byte, 18> bytes;
  return key.size() == std::tuple_size_v<websocket_key> && base64_decode(key, bytes) == 16;
}

// Appends to a span and remembers whether everything fitted.
class head_writer {
 public:
  explicit head_writer(std::span<char> out) noexcept : out_{out} {}

  template <class... Text> void append(const Text&... text) noexcept { (append_one(std::string_view{text}), ...); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool fitted() const noexcept { return fitted_; }

 private:
  void append_one(std::string_view text) noexcept {
    fitted_ = fitted_ && text.size() <= out_.size() - size_;
    if (!fitted_ || text.empty()) return;
    std::memcpy(out_.data() + size_, text.data(), text.size());
    size_ += text.size();
  }

  std::span<char> out_;
  std::size_t size_ = 0;
  bool fitted_ = true;
};

// Complete lines "Name: value CRLF", one or more, or nothing.
bool are_header_lines(std::string_view lines) noexcept {
  while (!lines.empty()) {
    const std::size_t crlf = lines.find("\r\n");
    if (crlf == std::string_view::npos) return false;
    const std::string_view line = lines.substr(0, crlf);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon)) || !is_field_value(line.substr(colon + 1))) return false;
    lines.remove_prefix(crlf + 2);
  }
  return true;
}

} // namespace

std::array<char, 28> accept_key(std::string_view key) noexcept {
  // A key that passed the check has 24 bytes; a longer one is cut, which only makes the answer wrong.
  std::array<char, 64> text;
  const std::size_t key_size = std::min(key.size(), text.size() - guid.size());
  std::copy_n(key.data(), key_size, text.data());
  std::copy_n(guid.data(), guid.size(), text.data() + key_size);
  const sha1_digest digest = sha1(std::as_bytes(std::span{text}.first(key_size + guid.size())));
  std::array<char, 28> out;
  base64_encode(digest, out.data());
  return out;
}

// ---- server role

bool is_websocket_upgrade(const request_head& head) noexcept { return head.has_token("Upgrade", "websocket"); }

upgrade_check check_upgrade(const request_head& head) noexcept {
  if (!is_websocket_upgrade(head))
    return refuse(http_status::bad_request, "This endpoint speaks WebSocket: the request has no Upgrade to websocket.");
  if (head.method != "GET") return refuse(http_status::method_not_allowed, "A WebSocket handshake must be a GET request.");
  if (head.minor_version < 1) return refuse(http_status::bad_request, "A WebSocket handshake needs HTTP/1.1.");
  if (!head.has_token("Connection", "upgrade")) return refuse(http_status::bad_request, "The Connection header does not list Upgrade.");
  // Bytes after the head are frames; a body in between would let two parties disagree about where they start.
  if (head.chunked || head.content_length.value_or(0) != 0) return refuse(http_status::bad_request, "A WebSocket handshake must not have a body.");

  const auto version = head.find("Sec-WebSocket-Version");
  if (version != "13") return refuse(http_status::upgrade_required, "Sec-WebSocket-Version must be 13.");
  if (head.count("Sec-WebSocket-Version") != 1) return refuse(http_status::bad_request, "There is more than one Sec-WebSocket-Version.");
  const std::string_view key = head.header("Sec-WebSocket-Key");
  if (!is_websocket_key(key)) return refuse(http_status::bad_request, "Sec-WebSocket-Key is not the base64 text of 16 bytes.");
  if (head.count("Sec-WebSocket-Key") != 1) return refuse(http_status::bad_request, "There is more than one Sec-WebSocket-Key.");
  if (!subprotocols_well_formed(head)) return refuse(http_status::bad_request, "Sec-WebSocket-Protocol is not a list of different tokens.");
  if (!extensions_well_formed(head)) return refuse(http_status::bad_request, "Sec-WebSocket-Extensions is malformed.");
  return {.ok = true, .error = http_status::ok, .why = {}, .key = key};
}

std::string_view choose_subprotocol(const request_head& head, std::span<const std::string_view> preferences) noexcept {
  if (preferences.empty() || !subprotocols_well_formed(head)) return {};
  for (const std::string_view preferred : preferences) {
    const bool offered = !head.for_each(subprotocol_header, [&](std::string_view list) {
      return for_each_list_element(list, [&](std::string_view name) { return name != preferred; });
    });
    if (offered) return preferred;
  }
  return {};
}

std::size_t write_accept_response(std::span<char> out, std::string_view key, std::string_view subprotocol, std::string_view extensions,
                                  std::string_view extra_headers) noexcept {
  if (!subprotocol.empty() && !is_token(subprotocol)) return 0;
  if (!is_field_value(extensions) || !are_header_lines(extra_headers)) return 0;
  const auto accept = accept_key(key);
  head_writer writer{out};
  writer.append("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
                std::string_view{accept.data(), accept.size()}, "\r\n");
  if (!subprotocol.empty()) writer.append("Sec-WebSocket-Protocol: ", subprotocol, "\r\n");
  if (!extensions.empty()) writer.append("Sec-WebSocket-Extensions: ", extensions, "\r\n");
  writer.append(extra_headers, "\r\n");
  return writer.fitted() ? writer.size() : 0;
}

// ---- client role

websocket_key make_websocket_key(std::span<const std::byte, 16> random) noexcept {
  websocket_key key;
  base64_encode(random, key.data());
  return key;
}

std::size_t upgrade_request_bytes_max(const upgrade_request& request) noexcept {
  std::size_t bytes = 256 + request.host.size() + request.target.size() + request.key.size() + request.extensions.size();
  for (const std::string_view name : request.subprotocols) bytes += name.size() + 2;
  for (const http_header& header : request.headers) bytes += header.name.size() + header.value.size() + 4;
  return bytes;
}

namespace {

// Names that the handshake sets itself, or that would give the request a body.
bool is_reserved(std::string_view name) noexcept {
  constexpr std::array<std::string_view, 10> reserved{"Host",
                                                      "Upgrade",
                                                      "Connection",
                                                      "Content-Length",
                                                      "Transfer-Encoding",
                                                      "Sec-WebSocket-Key",
                                                      "Sec-WebSocket-Version",
                                                      "Sec-WebSocket-Protocol",
                                                      "Sec-WebSocket-Extensions",
                                                      "Sec-WebSocket-Accept"};
  return std::ranges::any_of(reserved, [&](std::string_view one) { return equal_ignoring_case(one, name); });
}

// What is wrong with the parts, or an empty view.
std::string_view fault_of(const upgrade_request& request) noexcept {
  const auto all_bytes = [](std::string_view text, std::uint8_t bit) {
    return std::ranges::all_of(text, [&](char c) { return http_scan::is(c, bit); });
  };
  if (const auto host = parse_authority(request.host); !host || host->host.empty()) return "The host is not a valid host and port.";
  if (!request.target.starts_with('/') || !all_bytes(request.target, http_scan::target_byte))
    return "The target is not a percent-encoded path that starts with a slash.";
  if (!is_websocket_key(request.key)) return "The key is not the base64 text of 16 bytes.";
  for (std::size_t i = 0; i < request.subprotocols.size(); ++i) {
    const auto before = request.subprotocols.first(i);
    if (!is_token(request.subprotocols[i])) return "A subprotocol is not a token.";
    if (std::ranges::find(before, request.subprotocols[i]) != before.end()) return "A subprotocol is given twice.";
  }
  if (!is_field_value(request.extensions)) return "The extensions contain a control character.";
  for (const http_header& header : request.headers) {
    if (!is_token(header.name)) return "The name of an extra header is not a token.";
    if (!is_field_value(header.value)) return "The value of an extra header contains a control character.";
    if (is_reserved(header.name)) return "An extra header would replace one of the handshake's own.";
  }
  return {};
}

} // namespace

std::expected<std::size_t, std::string_view> write_upgrade_request(std::span<char> out, const upgrade_request& request) noexcept {
  if (const std::string_view fault = fault_of(request); !fault.empty()) return std::unexpected{fault};
  head_writer writer{out};
  writer.append("GET ", request.target, " HTTP/1.1\r\nHost: ", request.host,
                "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ", request.key, "\r\nSec-WebSocket-Version: 13\r\n");
  if (!request.subprotocols.empty()) {
    writer.append(subprotocol_header, ": ", request.subprotocols.front());
    for (const std::string_view name : request.subprotocols.subspan(1)) writer.append(", ", name);
    writer.append("\r\n");
  }
  if (!request.extensions.empty()) writer.append("Sec-WebSocket-Extensions: ", request.extensions, "\r\n");
  for (const http_header& header : request.headers) writer.append(header.name, ": ", header.value, "\r\n");
  writer.append("\r\n");
  if (!writer.fitted()) return std::unexpected{std::string_view{"The request does not fit into its buffer."}};
  return writer.size();
}

std::expected<upgrade_accepted, handshake_failure> check_upgrade_response(const response_head& head, std::string_view key,
                                                                          std::span<const std::string_view> subprotocols,
                                                                          const deflate_offer* offer) noexcept {
  const auto fail = [](handshake_error error, std::string_view why) { return std::unexpected{handshake_failure{.error = error, .why = why}}; };
  if (head.status_code != 101) return fail(handshake_error::wrong_status, "The server did not answer with 101 Switching Protocols.");
  if (head.minor_version < 1) return fail(handshake_error::wrong_http_version, "The server switched protocols in HTTP/1.0.");

  const auto upgrade = head.find("Upgrade");
  if (!upgrade) return fail(handshake_error::missing_upgrade, "The server's answer has no Upgrade header.");
  if (!equal_ignoring_case(*upgrade, "websocket") || head.count("Upgrade") != 1)
    return fail(handshake_error::wrong_upgrade, "The server switched to something else than websocket.");
  if (!head.has_token("Connection", "upgrade"))
    return fail(handshake_error::missing_connection, "The Connection header of the server's answer does not list Upgrade.");

  const auto accept = head.find("Sec-WebSocket-Accept");
  if (!accept) return fail(handshake_error::missing_accept, "The server's answer has no Sec-WebSocket-Accept.");
  const auto expected = accept_key(key);
  if (*accept != std::string_view{expected.data(), expected.size()} || head.count("Sec-WebSocket-Accept") != 1)
    return fail(handshake_error::wrong_accept, "Sec-WebSocket-Accept does not belong to the key that was sent.");

  upgrade_accepted accepted;
  if (const auto chosen = head.find(subprotocol_header)) {
    const auto offered = std::ranges::find(subprotocols, *chosen);
    if (offered == subprotocols.end() || head.count(subprotocol_header) != 1)
      return fail(handshake_error::wrong_subprotocol, "The server chose a subprotocol that was not offered.");
    accepted.subprotocol = *offered;
  }
  const auto deflate = check_deflate_response(head, offer);
  if (!deflate) return fail(handshake_error::wrong_extension, describe(deflate.error()));
  accepted.deflate = *deflate;
  return accepted;
}

} // namespace ringcast
