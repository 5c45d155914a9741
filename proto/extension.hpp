// Sec-WebSocket-Extensions (RFC 6455 section 9.1) and the negotiation of permessage-deflate (RFC 7692 section 7.1), for
// both roles. Negotiation only: the compressor itself is elsewhere. No allocation.
#pragma once

#include "proto/http_fields.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>

namespace ringcast {

// ---- what both sides agreed on --------------------------------------------------------------------------------------

/// The outcome of a negotiation. Window bits are base-2 logarithms of the LZ77 window in bytes, 8 to 15; 15 stands for
/// a parameter that was not negotiated.
struct deflate_params {
  bool server_no_context_takeover = false; ///< the server starts each message with an empty window
  bool client_no_context_takeover = false; ///< the client starts each message with an empty window
  std::uint8_t server_max_window_bits = 15;
  std::uint8_t client_max_window_bits = 15;

  friend bool operator==(const deflate_params&, const deflate_params&) = default;
};

/// An extension header's value that is short enough to live inside the object.
class extension_text {
 public:
  /// All four parameters of permessage-deflate with two-digit values take 128 bytes.
  static constexpr std::size_t capacity = 128;

  [[nodiscard]] std::string_view view() const noexcept { return {text_.data(), size_}; }
  void append(std::string_view text) noexcept;
  void append_number(unsigned value) noexcept; ///< below 100

 private:
  std::array<char, capacity> text_{};
  std::size_t size_ = 0;
};

// ---- server role ----------------------------------------------------------------------------------------------------

/// What the server allows and asks for. The defaults keep no context in either direction, so that one compressor serves
/// all connections of a shard.
struct deflate_policy {
  bool enabled = true;
  bool server_no_context_takeover = true;   ///< promise it even when the client did not ask
  bool client_no_context_takeover = true;   ///< demand it of the client (RFC 7692 section 7.1.1.2)
  std::uint8_t server_max_window_bits = 15; ///< the largest window we compress with, 8 to 15
  std::uint8_t server_min_window_bits = 8;  ///< an offer that demands a smaller one is declined
  std::uint8_t client_max_window_bits = 15; ///< asked of the client when its offer allows us to ask, 8 to 15
};

struct deflate_accepted {
  deflate_params params;
  extension_text response; ///< the value of our Sec-WebSocket-Extensions header

  [[nodiscard]] std::string_view response_value() const noexcept { return response.view(); }
};

/// Walks the offers of all Sec-WebSocket-Extensions fields in order and accepts the first permessage-deflate that is
/// valid and that the policy can keep. An offer with an unknown, repeated or malformed parameter is declined and the
/// next one is tried. Nothing: the connection goes on without compression.
[[nodiscard]] std::optional<deflate_accepted> negotiate_deflate(const http_fields& request, const deflate_policy& policy) noexcept;

/// False when a Sec-WebSocket-Extensions field breaks the grammar itself: then the handshake must fail (RFC 6455
/// section 9.1).
[[nodiscard]] bool extensions_well_formed(const http_fields& head) noexcept;

// ---- client role ----------------------------------------------------------------------------------------------------

/// One offer of permessage-deflate.
struct deflate_offer {
  bool server_no_context_takeover = false;            ///< demand it of the server
  bool client_no_context_takeover = false;            ///< a hint that we will do so anyway
  std::optional<std::uint8_t> server_max_window_bits; ///< demand a window of at most this, 8 to 15
  bool allow_client_max_window_bits = true;           ///< we can limit our window if the server asks
  std::optional<std::uint8_t> client_max_window_bits; ///< a hint how large ours will be, 8 to 15; implies the one above
};

/// The value of our Sec-WebSocket-Extensions header. Window bits outside 8 to 15 are brought into that range.
[[nodiscard]] extension_text write_deflate_offer(const deflate_offer& offer) noexcept;

/// Why a server's extensions are refused. Each one fails the connection (RFC 6455 section 4.1, RFC 7692 section 7.1).
enum class extension_error : std::uint8_t {
  malformed,             ///< breaks the grammar of RFC 6455 section 9.1
  unrequested,           ///< an extension that was not offered
  repeated,              ///< permessage-deflate accepted twice
  unknown_parameter,     ///< a parameter that RFC 7692 does not define
  repeated_parameter,    ///< the same parameter twice
  invalid_value,         ///< a value where none may be, or one outside 8 to 15, or none where one must be
  unrequested_parameter, ///< client_max_window_bits without our offer, or larger than offered
  offer_ignored,         ///< what we demanded of the server is missing in its answer
};

/// One sentence for people.
[[nodiscard]] std::string_view describe(extension_error error) noexcept;

/// Reads the server's answer to `offer` (null: none was made). Nothing: the server declined, the connection goes on
/// without compression. Otherwise what both sides now must keep to.
[[nodiscard]] std::expected<std::optional<deflate_params>, extension_error> check_deflate_response(const http_fields& response,
                                                                                                   const deflate_offer* offer) noexcept;

// ---- the grammar ----------------------------------------------------------------------------------------------------

/// One parameter of one extension. A quoted value is given without its quotes, but still with its
/// backslashes: skip those when comparing.
struct extension_param {
  std::string_view name;
  std::string_view raw_value;
  bool has_value = false;
};

/// Reads the elements of one header value, left to right, without copying:
///   extension_reader r{value};
///   while (auto name = r.next_extension()) while (auto p = r.next_param()) ...
///   if (r.malformed()) ...
class extension_reader {
 public:
  explicit extension_reader(std::string_view value) noexcept : rest_{value} {}

  /// The name of the next extension, or nothing at the end or when the text breaks the grammar. Unread parameters of
  /// the extension before it are skipped, and checked.
  [[nodiscard]] std::optional<std::string_view> next_extension() noexcept;
  /// The next parameter of the current extension, or nothing after its last one.
  [[nodiscard]] std::optional<extension_param> next_param() noexcept;
  /// True once the text broke the grammar of RFC 6455 section 9.1.
  [[nodiscard]] bool malformed() const noexcept { return malformed_; }

 private:
  [[nodiscard]] std::string_view take_token() noexcept;
  [[nodiscard]] std::optional<std::string_view> take_quoted() noexcept;
  void skip_whitespace() noexcept;

  std::string_view rest_;
  bool in_extension_ = false;
  bool malformed_ = false;
};

} // namespace ringcast
