#include "engine/client/room_resume.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace ringcast::engine {

namespace {

std::string_view text_of(std::span<const std::byte> payload) { return {reinterpret_cast<const char*>(payload.data()), payload.size()}; }

std::string_view query_of(std::string_view target) {
  const std::size_t mark = target.find('?');
  return mark == std::string_view::npos ? std::string_view{} : target.substr(mark + 1);
}

bool has_parameter(std::string_view target, std::string_view name) {
  std::string_view query = query_of(target);
  while (!query.empty()) {
    const std::string_view one = query.substr(0, query.find('&'));
    if (one.substr(0, one.find('=')) == name) return true;
    query.remove_prefix(std::min(one.size() + 1, query.size()));
  }
  return false;
}

// Takes `start` off the front of the text.
bool skip(std::string_view& text, std::string_view start) {
  if (!text.starts_with(start)) return false;
  text.remove_prefix(start.size());
  return true;
}

std::optional<std::uint64_t> take_digits(std::string_view& text, int base) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

struct hello {
  room_position newest;
  bool resumed = false;
};

// {"room":"NAME","epoch":"00c0ffee00c0ffee","seq":41,"resumed":true}, as ringcast-server writes it. A name cannot contain what is looked for:
// its quotation marks are escaped.
std::optional<hello> read_hello(std::string_view text) {
  constexpr std::string_view mark = ",\"epoch\":\"";
  const std::size_t at = text.find(mark);
  if (!text.starts_with("{\"room\":\"") || at == std::string_view::npos) return std::nullopt;
  text.remove_prefix(at + mark.size());
  const auto epoch = take_digits(text, 16);
  if (!epoch || *epoch == 0 || !skip(text, "\",\"seq\":")) return std::nullopt;
  const auto sequence = take_digits(text, 10);
  if (!sequence || !skip(text, ",\"resumed\":") || (text != "true}" && text != "false}")) return std::nullopt;
  return hello{.newest = {*epoch, *sequence}, .resumed = text == "true}"};
}

// A binary message has its number in eight bytes, the most significant one first.
constexpr std::size_t binary_head_bytes = 8;

} // namespace

room_resume::room_resume(std::string_view target, const std::optional<room_position>& from)
    : target_(target), asks_history_(has_parameter(target, "history")), epoch_(from ? from->epoch : 0), position_(from) {
  if (!has_parameter(target, "seq")) target_ += target_.contains('?') ? "&seq=1" : "?seq=1";
}

bool room_resume::has_position(std::string_view target) { return has_parameter(target, "since"); }

std::string room_resume::target() const { return target_with(position_); }

std::string room_resume::target_with(const std::optional<room_position>& after) const {
  return after ? target_ + "&since=" + text_of(*after) : target_;
}

room_resume::taken room_resume::take(opcode op, std::span<const std::byte> payload) {
  if (awaits_hello_) return op == opcode::text ? take_hello(engine::text_of(payload)) : taken{};
  if (op == opcode::binary) {
    if (payload.size() < binary_head_bytes) return {};
    std::uint64_t number = 0;
    for (const std::byte each : payload.first(binary_head_bytes)) number = number << 8 | std::to_integer<std::uint64_t>(each);
    return take_number(number, binary_head_bytes);
  }
  std::string_view text = engine::text_of(payload);
  if (text.starts_with('{')) return take_notice(text);
  const auto number = take_digits(text, 10);
  if (!number || !skip(text, "\n")) return {};
  return take_number(*number, payload.size() - text.size());
}

// {"retry_after":1.25}, in seconds, as ringcast-server writes it while it drains.
room_resume::taken room_resume::take_notice(std::string_view text) {
  double seconds = 0;
  if (!skip(text, "{\"retry_after\":")) return {};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc{} || std::string_view{end, text.data() + text.size()} != "}" || !(seconds >= 0 && seconds < 1e9)) return {};
  return {.what = kind::going_away, .retry_after = std::chrono::milliseconds{std::llround(seconds * 1000)}};
}

room_resume::taken room_resume::take_hello(std::string_view text) {
  const auto told = read_hello(text);
  if (!told) return {};
  const bool is_same = position_ && position_->epoch == told->newest.epoch;
  // What it cannot be: everything behind a place that this room has never been at.
  if (told->resumed && (!is_same || told->newest.sequence < position_->sequence)) return {};
  awaits_hello_ = false;
  epoch_ = told->newest.epoch;
  any_next_ = !told->resumed;
  if (!position_) {
    if (!asks_history_) position_ = told->newest; // from here on nothing may be missed
    return {.what = kind::joined, .newest = told->newest};
  }
  const room_position heard = *position_;
  // A place in another epoch, or that this room has not come to, is none: whatever is kept is news.
  if (!is_same || told->newest.sequence < heard.sequence) position_ = room_position{epoch_, 0};
  return {.what = told->resumed ? kind::resumed : kind::gap, .heard = heard, .newest = told->newest};
}

room_resume::taken room_resume::take_number(std::uint64_t number, std::size_t head_bytes) {
  const room_position heard = position_.value_or(room_position{epoch_, 0});
  if (number <= heard.sequence) return {.what = kind::repeated, .head_bytes = head_bytes, .heard = heard, .newest = heard};
  const bool follows = any_next_ || number == heard.sequence + 1;
  any_next_ = false;
  position_ = room_position{epoch_, number};
  return {.what = follows ? kind::message : kind::message_behind_gap, .head_bytes = head_bytes, .heard = heard, .newest = {epoch_, number - 1}};
}

} // namespace ringcast::engine
