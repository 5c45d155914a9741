#include "engine/shard/access_book.hpp"

#include "engine/io/tcp_figures.hpp"
#include "engine/shard/peer_book.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>
#include <optional>
#include <utility>

namespace ringcast::engine {

namespace {

constexpr std::size_t target_bytes_max = 1024; // what a line of a log still is

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// Whether a parameter has this name, however its letters are written.
bool is_named(std::string_view parameter, std::string_view name) {
  std::string_view given = parameter.substr(0, parameter.find('='));
  for (const char wanted : name) {
    if (given.empty()) return false;
    char c = given.front();
    std::size_t bytes = 1;
    if (c == '%' && given.size() >= 3 && hex_digit(given[1]) >= 0 && hex_digit(given[2]) >= 0) {
      c = static_cast<char>(hex_digit(given[1]) * 16 + hex_digit(given[2]));
      bytes = 3;
    }
    if ((c | 0x20) != wanted) return false;
    given.remove_prefix(bytes);
  }
  return given.empty();
}

void append_printable(std::string& out, std::string_view text) {
  for (const char c : text) {
    if (out.size() >= target_bytes_max) return;
    if (c > 0x20 && c < 0x7f)
      out += c;
    else
      fmt::format_to(std::back_inserter(out), "%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
  }
}

} // namespace

std::string told_target(std::string_view target) {
  const std::size_t query = std::min(target.find('?'), target.size());
  std::string told;
  append_printable(told, target.substr(0, query));
  target.remove_prefix(query);
  while (!target.empty()) { // from a ? or & to the next &
    const std::size_t end = std::min(target.find('&', 1), target.size());
    const std::string_view parameter = target.substr(1, end - 1);
    const bool secret = is_named(parameter, "token");
    append_printable(told, target.substr(0, 1));
    append_printable(told, secret ? parameter.substr(0, parameter.find('=')) : parameter);
    if (secret && parameter.contains('=')) append_printable(told, "=***");
    target.remove_prefix(end);
  }
  return told;
}

void access_book::note(const connection& c, const request_head& head) {
  visits_.insert_or_assign(c.slot, visit{with_.peers.peer_of(c, head).text(), told_target(head.target), with_.clock.ms});
}

void access_book::note_opened(const connection& c) {
  tell(access_event::opened, c, 101);
  visit& known = visits_[c.slot];
  known.open = true;
  known.begin_ms = with_.clock.ms;
}

void access_book::note_released(const connection& c) {
  const auto found = visits_.find(c.slot);
  if (found == visits_.end()) return;
  if (found->second.open) tell(access_event::closed, c, c.close_code);
  visits_.erase(c.slot);
}

void access_book::tell(access_event what, const connection& c, std::uint16_t code) {
  access_entry told{.what = what, .id = with_.connections.handle_of(c), .code = code};
  if (const auto found = visits_.find(c.slot); found != visits_.end()) {
    told.address = found->second.address;
    told.target = found->second.target;
    told.duration_ms = with_.clock.ms - found->second.begin_ms;
  } else {
    told.address = with_.peers.peer_of(c).text(); // it has sent no request
  }
  if (const auto tcp = tcp_figures_of(c.socket)) {
    told.bytes_in = tcp->bytes_received;
    told.bytes_out = tcp->bytes_acknowledged;
  }
  if (what == access_event::answered) visits_.erase(c.slot); // what comes next may be no request at all
  with_.users.access(with_.taker, told);
}

} // namespace ringcast::engine
