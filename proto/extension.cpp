#include "proto/extension.hpp"

#include "proto/http_scan.hpp"

#include <algorithm>

namespace ringcast {

namespace {

constexpr std::string_view header_name = "Sec-WebSocket-Extensions";
constexpr std::string_view permessage_deflate = "permessage-deflate";
constexpr std::string_view server_no_context_takeover = "server_no_context_takeover";
constexpr std::string_view client_no_context_takeover = "client_no_context_takeover";
constexpr std::string_view server_max_window_bits = "server_max_window_bits";
constexpr std::string_view client_max_window_bits = "client_max_window_bits";

// The parameters of one permessage-deflate element, as they stand there.
struct deflate_element {
  bool server_no_context_takeover = false;
  bool client_no_context_takeover = false;
  bool has_client_max_window_bits = false;
  std::optional<std::uint8_t> server_max_window_bits;
  std::optional<std::uint8_t> client_max_window_bits;
};

std::uint8_t into_range(std::uint8_t bits) noexcept { return std::clamp<std::uint8_t>(bits, 8, 15); }

// RFC 7692 section 7.1.2: "a decimal integer value without leading zeroes between 8 to 15 inclusive". A backslash can
// only come from a quoted string, where it stands before the byte that is meant.
std::optional<std::uint8_t> window_bits(const extension_param& param) noexcept {
  std::array<char, 2> digits{};
  std::size_t count = 0;
  for (const char c : param.raw_value) {
    if (c == '\\') continue;
    if (c < '0' || c > '9' || count == digits.size()) return std::nullopt;
    digits[count++] = c;
  }
  if (count == 1 && (digits[0] == '8' || digits[0] == '9')) return static_cast<std::uint8_t>(digits[0] - '0');
  if (count == 2 && digits[0] == '1' && digits[1] <= '5') return static_cast<std::uint8_t>(10 + digits[1] - '0');
  return std::nullopt;
}

enum class role : std::uint8_t { client_offer, server_response };

// Reads the parameters up to the end of the element. After an error the rest is left to the reader, which skips it.
std::expected<deflate_element, extension_error> read_deflate_element(extension_reader& reader, role from) noexcept {
  deflate_element element;
  while (const auto param = reader.next_param()) {
    if (param->name == server_no_context_takeover || param->name == client_no_context_takeover) {
      bool& flag = param->name == server_no_context_takeover ? element.server_no_context_takeover : element.client_no_context_takeover;
      if (flag) return std::unexpected{extension_error::repeated_parameter};
      if (param->has_value) return std::unexpected{extension_error::invalid_value};
      flag = true;
    } else if (param->name == server_max_window_bits) {
      if (element.server_max_window_bits) return std::unexpected{extension_error::repeated_parameter};
      element.server_max_window_bits = window_bits(*param);
      if (!element.server_max_window_bits) return std::unexpected{extension_error::invalid_value};
    } else if (param->name == client_max_window_bits) {
      if (element.has_client_max_window_bits) return std::unexpected{extension_error::repeated_parameter};
      element.has_client_max_window_bits = true;
      element.client_max_window_bits = window_bits(*param);
      // Only an offer may leave the value out (RFC 7692 section 7.1.2.2).
      const bool may_be_absent = from == role::client_offer && !param->has_value;
      if (!element.client_max_window_bits && !may_be_absent) return std::unexpected{extension_error::invalid_value};
    } else {
      return std::unexpected{extension_error::unknown_parameter};
    }
  }
  if (reader.malformed()) return std::unexpected{extension_error::malformed};
  return element;
}

void append_param(extension_text& text, std::string_view name) noexcept {
  text.append("; ");
  text.append(name);
}

void append_param(extension_text& text, std::string_view name, std::uint8_t bits) noexcept {
  append_param(text, name);
  text.append("=");
  text.append_number(bits);
}

std::optional<deflate_accepted> accept(const deflate_element& offer, const deflate_policy& policy) noexcept {
  const std::uint8_t server_bits = std::min(into_range(policy.server_max_window_bits), offer.server_max_window_bits.value_or(15));
  if (server_bits < policy.server_min_window_bits) return std::nullopt;

  deflate_accepted accepted;
  deflate_params& params = accepted.params;
  extension_text& response = accepted.response;
  response.append(permessage_deflate);
  params.server_no_context_takeover = offer.server_no_context_takeover || policy.server_no_context_takeover;
  if (params.server_no_context_takeover) append_param(response, server_no_context_takeover);
  params.client_no_context_takeover = offer.client_no_context_takeover || policy.client_no_context_takeover;
  if (params.client_no_context_takeover) append_param(response, client_no_context_takeover);

  // A demand of the client is accepted by repeating it (RFC 7692 section 7.1.2.1); our own wish may be stated without
  // one.
  params.server_max_window_bits = server_bits;
  if (offer.server_max_window_bits || server_bits < 15) append_param(response, server_max_window_bits, server_bits);

  // Without the client's word that it can limit its window we must not ask for it (RFC 7692 section 7.1.2.2).
  if (offer.has_client_max_window_bits) {
    params.client_max_window_bits = std::min(into_range(policy.client_max_window_bits), offer.client_max_window_bits.value_or(15));
    if (offer.client_max_window_bits || params.client_max_window_bits < 15)
      append_param(response, client_max_window_bits, params.client_max_window_bits);
  }
  return accepted;
}

// What a client must check once the element itself is sound.
std::expected<deflate_params, extension_error> match(const deflate_element& response, const deflate_offer& offer) noexcept {
  if (offer.server_no_context_takeover && !response.server_no_context_takeover) return std::unexpected{extension_error::offer_ignored};
  if (offer.server_max_window_bits) {
    if (!response.server_max_window_bits) return std::unexpected{extension_error::offer_ignored};
    if (*response.server_max_window_bits > into_range(*offer.server_max_window_bits)) return std::unexpected{extension_error::offer_ignored};
  }
  if (response.client_max_window_bits) {
    const bool offered = offer.allow_client_max_window_bits || offer.client_max_window_bits.has_value();
    if (!offered || *response.client_max_window_bits > into_range(offer.client_max_window_bits.value_or(15)))
      return std::unexpected{extension_error::unrequested_parameter};
  }
  return deflate_params{.server_no_context_takeover = response.server_no_context_takeover,
                        .client_no_context_takeover = response.client_no_context_takeover,
                        .server_max_window_bits = response.server_max_window_bits.value_or(15),
                        .client_max_window_bits = response.client_max_window_bits.value_or(15)};
}

} // namespace

// ---- server role

std::optional<deflate_accepted> negotiate_deflate(const http_fields& request, const deflate_policy& policy) noexcept {
  if (!policy.enabled || !extensions_well_formed(request)) return std::nullopt;
  std::optional<deflate_accepted> accepted;
  request.for_each(header_name, [&](std::string_view value) {
    extension_reader reader{value};
    while (const auto name = reader.next_extension()) {
      if (*name != permessage_deflate) continue;
      const auto offer = read_deflate_element(reader, role::client_offer);
      if (offer) accepted = accept(*offer, policy);
      if (accepted) return false;
    }
    return true;
  });
  return accepted;
}

bool extensions_well_formed(const http_fields& head) noexcept {
  return head.for_each(header_name, [](std::string_view value) {
    extension_reader reader{value};
    while (reader.next_extension()) {
    }
    return !reader.malformed();
  });
}

// ---- client role

extension_text write_deflate_offer(const deflate_offer& offer) noexcept {
  extension_text text;
  text.append(permessage_deflate);
  if (offer.server_no_context_takeover) append_param(text, server_no_context_takeover);
  if (offer.client_no_context_takeover) append_param(text, client_no_context_takeover);
  if (offer.server_max_window_bits) append_param(text, server_max_window_bits, into_range(*offer.server_max_window_bits));
  if (offer.client_max_window_bits)
    append_param(text, client_max_window_bits, into_range(*offer.client_max_window_bits));
  else if (offer.allow_client_max_window_bits)
    append_param(text, client_max_window_bits);
  return text;
}

std::expected<std::optional<deflate_params>, extension_error> check_deflate_response(const http_fields& response,
                                                                                     const deflate_offer* offer) noexcept {
  if (!extensions_well_formed(response)) return std::unexpected{extension_error::malformed};
  std::expected<std::optional<deflate_params>, extension_error> result;
  response.for_each(header_name, [&](std::string_view value) {
    extension_reader reader{value};
    while (const auto name = reader.next_extension()) {
      if (*name != permessage_deflate || offer == nullptr) {
        result = std::unexpected{extension_error::unrequested};
      } else if (*result) {
        result = std::unexpected{extension_error::repeated};
      } else if (const auto element = read_deflate_element(reader, role::server_response); !element) {
        result = std::unexpected{element.error()};
      } else if (const auto params = match(*element, *offer); !params) {
        result = std::unexpected{params.error()};
      } else {
        result = *params;
      }
      if (!result) return false;
    }
    return true;
  });
  return result;
}

std::string_view describe(extension_error error) noexcept {
  switch (error) {
  case extension_error::malformed: return "The server's Sec-WebSocket-Extensions is malformed.";
  case extension_error::unrequested: return "The server accepted an extension that was not offered.";
  case extension_error::repeated: return "The server accepted permessage-deflate twice.";
  case extension_error::unknown_parameter: return "The server set a parameter that permessage-deflate does not have.";
  case extension_error::repeated_parameter: return "The server set a parameter of permessage-deflate twice.";
  case extension_error::invalid_value: return "The server gave a parameter of permessage-deflate an invalid value.";
  case extension_error::unrequested_parameter: return "The server limits the client's compression window in a way that was not offered.";
  case extension_error::offer_ignored: return "The server accepted permessage-deflate without what was demanded of it.";
  }
  return {};
}

// ---- the text

void extension_text::append(std::string_view text) noexcept {
  const std::size_t fits = std::min(text.size(), capacity - size_);
  std::copy_n(text.data(), fits, text_.data() + size_);
  size_ += fits;
}

void extension_text::append_number(unsigned value) noexcept {
  const std::array<char, 2> digits{static_cast<char>('0' + value / 10 % 10), static_cast<char>('0' + value % 10)};
  append(value < 10 ? std::string_view{&digits[1], 1} : std::string_view{digits.data(), 2});
}

// ---- the grammar

std::optional<std::string_view> extension_reader::next_extension() noexcept {
  while (next_param()) {
  }
  if (malformed_) return std::nullopt;
  // RFC 9110 section 5.6.1.2: empty list elements are read over.
  while (!rest_.empty() && (rest_.front() == ',' || rest_.front() == ' ' || rest_.front() == '\t')) rest_.remove_prefix(1);
  if (rest_.empty()) return std::nullopt;
  const std::string_view name = take_token();
  malformed_ = name.empty();
  in_extension_ = !malformed_;
  return malformed_ ? std::nullopt : std::optional{name};
}

std::optional<extension_param> extension_reader::next_param() noexcept {
  if (!in_extension_ || malformed_) return std::nullopt;
  skip_whitespace();
  if (rest_.empty() || rest_.front() == ',') {
    in_extension_ = false;
    return std::nullopt;
  }
  malformed_ = rest_.front() != ';';
  if (malformed_) return std::nullopt;
  rest_.remove_prefix(1);
  skip_whitespace();

  extension_param param{.name = take_token()};
  skip_whitespace();
  malformed_ = param.name.empty();
  if (!malformed_ && !rest_.empty() && rest_.front() == '=') {
    rest_.remove_prefix(1);
    skip_whitespace();
    param.has_value = true;
    if (!rest_.empty() && rest_.front() == '"') {
      const auto quoted = take_quoted();
      malformed_ = !quoted;
      param.raw_value = quoted.value_or(std::string_view{});
    } else {
      param.raw_value = take_token();
      malformed_ = param.raw_value.empty();
    }
  }
  return malformed_ ? std::nullopt : std::optional{param};
}

std::string_view extension_reader::take_token() noexcept {
  const char* begin = rest_.data();
  const char* token_end = http_scan::find_token_end(begin, begin + rest_.size());
  const std::string_view token{begin, token_end};
  rest_.remove_prefix(token.size());
  return token;
}

// RFC 6455 section 9.1: "the value after quoted-string unescaping MUST conform to the token ABNF".
std::optional<std::string_view> extension_reader::take_quoted() noexcept {
  bool empty = true;
  for (std::size_t i = 1; i < rest_.size(); ++i) {
    if (rest_[i] == '"') {
      const std::string_view value = rest_.substr(1, i - 1);
      rest_.remove_prefix(i + 1);
      return empty ? std::nullopt : std::optional{value};
    }
    if (rest_[i] == '\\' && ++i == rest_.size()) break;
    if (!http_scan::is(rest_[i], http_scan::token_byte)) break;
    empty = false;
  }
  return std::nullopt;
}

void extension_reader::skip_whitespace() noexcept {
  while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t')) rest_.remove_prefix(1);
}

} // namespace ringcast
