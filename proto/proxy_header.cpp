#include "proto/proxy_header.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace ringcast {

namespace {

using result = proxy_header_result;
using enum proxy_header_status;

result refuse(std::string_view why) { return {.status = bad, .bytes = 0, .why = why}; }

std::string_view text_of(std::span<const std::byte> bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

// --- version 1: a line ---

constexpr std::string_view line_start = "PROXY ";

// Up to the next space, which goes, too.
std::string_view take_word(std::string_view& line) {
  const std::size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return word;
}

// Section 2.1: without leading zeros.
std::optional<std::uint16_t> read_decimal(std::string_view digits, std::uint16_t most) {
  std::uint16_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size() || number > most) return std::nullopt;
  return digits.size() > 1 && digits.front() == '0' ? std::nullopt : std::optional{number};
}

bool read_ipv4(std::string_view text, std::span<std::uint8_t> out) {
  for (std::size_t i = 0; i < 4; ++i) {
    const std::size_t end = i < 3 ? text.find('.') : text.size();
    if (end == std::string_view::npos) return false;
    const auto octet = read_decimal(text.substr(0, end), 255);
    if (!octet) return false;
    out[i] = static_cast<std::uint8_t>(*octet);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return true;
}

// RFC 4291 2.2: groups of hexadecimal digits, one row of zeros left out, the last 32 bits maybe as an IPv4 address.
bool read_ipv6(std::string_view text, std::array<std::uint8_t, 16>& out) {
  std::array<std::uint8_t, 16> read{};
  std::size_t size = 0;
  std::optional<std::size_t> gap;
  if (text.starts_with("::")) {
    gap = 0;
    text.remove_prefix(2);
  }
  while (!text.empty()) {
    if (size == read.size()) return false;
    const std::size_t end = std::min(text.find(':'), text.size());
    const std::string_view group = text.substr(0, end);
    if (group.contains('.')) {
      if (end != text.size() || size > 12 || !read_ipv4(group, std::span{read}.subspan(size))) return false;
      size += 4;
      break;
    }
    unsigned value = 0;
    const auto [stop, error] = std::from_chars(group.data(), group.data() + group.size(), value, 16);
    if (group.empty() || group.size() > 4 || error != std::errc{} || stop != group.data() + group.size()) return false;
    read[size++] = static_cast<std::uint8_t>(value >> 8);
    read[size++] = static_cast<std::uint8_t>(value);
    text.remove_prefix(end);
    if (text.empty()) break;
    text.remove_prefix(1);
    if (text.starts_with(':')) {
      if (gap) return false;
      gap = size;
      text.remove_prefix(1);
    } else if (text.empty()) {
      return false; // a colon at the end
    }
  }
  if (gap.has_value() == (size == read.size())) return false;
  if (gap) std::rotate(read.begin() + static_cast<std::ptrdiff_t>(*gap), read.begin() + static_cast<std::ptrdiff_t>(size), read.end());
  out = read;
  return true;
}

result parse_line(std::string_view text, proxy_header& out) {
  const std::size_t end = text.substr(0, proxy_line_bytes_max).find("\r\n");
  if (end == std::string_view::npos) return text.size() >= proxy_line_bytes_max ? refuse("a PROXY line has at most 107 bytes") : result{};
  std::string_view line = text.substr(line_start.size(), end - line_start.size());
  const result read{.status = done, .bytes = end + 2, .why = {}};
  const std::string_view protocol = take_word(line);
  proxy_header named;
  if (protocol == "UNKNOWN") { // whatever follows it
    out = named;
    return read;
  }
  const bool is_v4 = protocol == "TCP4";
  if (!is_v4 && protocol != "TCP6") return refuse("a PROXY line is of TCP4, TCP6 or UNKNOWN");
  const std::string_view from = take_word(line), to = take_word(line), from_port = take_word(line);
  std::array<std::uint8_t, 16> own{};
  const bool are_addresses = is_v4 ? read_ipv4(from, named.address) && read_ipv4(to, own) : read_ipv6(from, named.address) && read_ipv6(to, own);
  if (!are_addresses) return refuse("a PROXY line has two addresses of its family");
  const auto port = read_decimal(from_port, 65'535);
  if (!port || !read_decimal(line, 65'535)) return refuse("a PROXY line ends with two ports");
  named.source = is_v4 ? proxy_header::family::ipv4 : proxy_header::family::ipv6;
  named.port = *port;
  out = named;
  return read;
}

// --- version 2: binary ---

constexpr std::string_view signature{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr std::size_t fixed_bytes = 16; // the signature, version and command, family and transport, length

unsigned number_at(std::span<const std::byte> bytes, std::size_t at) { return std::to_integer<unsigned>(bytes[at]); }
unsigned short_at(std::span<const std::byte> bytes, std::size_t at) { return number_at(bytes, at) << 8 | number_at(bytes, at + 1); }

// Castagnoli's polynomial, reflected (RFC 9260, appendix A). A connection's few hundred bytes ask for no table.
std::uint32_t crc32c(std::span<const std::byte> bytes, std::size_t zeroed_at) {
  std::uint32_t crc = ~0u;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    crc ^= i - zeroed_at < 4 ? 0 : number_at(bytes, i);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
  }
  return ~crc;
}

// Sections 2.2.2 and 2.2.3: type, length, value. They are skipped, but for the checksum.
result check_values(std::span<const std::byte> header, std::size_t at) {
  constexpr unsigned type_crc32c = 0x03;
  while (at < header.size()) {
    if (header.size() - at < 3) return refuse("a PROXY header ends within a TLV");
    const unsigned type = number_at(header, at), size = short_at(header, at + 1);
    at += 3;
    if (header.size() - at < size) return refuse("a TLV is longer than its PROXY header");
    if (type == type_crc32c) {
      if (size != 4) return refuse("the CRC32C of a PROXY header has four bytes");
      const std::uint32_t told = short_at(header, at) << 16 | short_at(header, at + 2);
      if (told != crc32c(header, at)) return refuse("a PROXY header has another CRC32C");
    }
    at += size;
  }
  return {.status = done, .bytes = header.size(), .why = {}};
}

// What of the block is addresses, for each pair of family and transport (section 2.2). Nothing for a pair that there is not.
std::optional<std::size_t> address_bytes_of(unsigned pair) {
  switch (pair) {
  case 0x00: return 0;
  case 0x11:
  case 0x12: return 12;
  case 0x21:
  case 0x22: return 36;
  case 0x31:
  case 0x32: return 216;
  default: return std::nullopt;
  }
}

// Two addresses, and behind them two ports.
void note_source(std::span<const std::byte> block, unsigned pair, proxy_header& out) {
  using family = proxy_header::family;
  if (pair == 0x31) {
    out.source = family::unix_socket;
    out.path = text_of(block.first(108));
    out.path = out.path.substr(0, out.path.find('\0', 1)); // an abstract name begins with one
    if (out.path == std::string_view{"\0", 1}) out.path = {};
    return;
  }
  const std::size_t bytes = pair == 0x11 ? 4 : 16;
  for (std::size_t i = 0; i < bytes; ++i) out.address[i] = std::to_integer<std::uint8_t>(block[i]);
  out.port = static_cast<std::uint16_t>(short_at(block, 2 * bytes));
  out.source = pair == 0x11 ? family::ipv4 : family::ipv6;
}

result parse_binary(std::span<const std::byte> bytes, proxy_header& out) {
  constexpr unsigned version_2 = 0x20, local = 0, proxied = 1;
  if (bytes.size() < signature.size() + 1) return {};
  const unsigned command = number_at(bytes, 12) ^ version_2;
  if (command != local && command != proxied) return refuse("a binary PROXY header is of version 2, LOCAL or PROXY");
  if (bytes.size() < signature.size() + 2) return {};
  const unsigned pair = number_at(bytes, 13);
  const auto address_bytes = address_bytes_of(pair);
  if (command == proxied && !address_bytes) return refuse("a PROXY header has no such family and transport");
  if (bytes.size() < fixed_bytes) return {};
  const std::size_t block_bytes = short_at(bytes, 14);
  if (fixed_bytes + block_bytes > proxy_header_bytes_max) return refuse("a PROXY header is larger than 4 KiB");
  if (command == proxied && block_bytes < *address_bytes) return refuse("a PROXY header is too short for its addresses");
  if (bytes.size() < fixed_bytes + block_bytes) return {};
  const std::span<const std::byte> header = bytes.first(fixed_bytes + block_bytes);
  proxy_header named;
  if (command == local) { // section 2.2: the block is none of our business
    out = named;
    return {.status = done, .bytes = header.size(), .why = {}};
  }
  const result checked = check_values(header, fixed_bytes + *address_bytes);
  if (checked.status != done) return checked;
  // What is no stream cannot be whose connection this is, and is as good as UNSPEC.
  if (pair == 0x11 || pair == 0x21 || pair == 0x31) note_source(header.subspan(fixed_bytes), pair, named);
  out = named;
  return checked;
}

bool begins_like(std::string_view text, std::string_view start) {
  const std::size_t bytes = std::min(text.size(), start.size());
  return text.substr(0, bytes) == start.substr(0, bytes);
}

} // namespace

proxy_header_result parse_proxy_header(std::span<const std::byte> bytes, proxy_header& out) noexcept {
  const std::string_view text = text_of(bytes);
  if (begins_like(text, line_start)) return text.size() < line_start.size() ? result{} : parse_line(text, out);
  if (begins_like(text, signature)) return text.size() < signature.size() ? result{} : parse_binary(bytes, out);
  return refuse("there is no PROXY header");
}

} // namespace ringcast
