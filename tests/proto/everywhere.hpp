// Feeds an input to reader and assembler the way a connection does: whole, byte by byte, and split at each place, in
// memory that ends at a guard page and in memory that starts behind one. All of them must tell the same story.
#pragma once

#include "proto/frame_reader.hpp"
#include "proto/message_assembler.hpp"
#include "tests/proto/guard_page.hpp"
#include "tests/proto/wire.hpp"

#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

namespace ringcast::test {

/// What came out, as values that outlive the input.
struct event {
  assembled::kind what = assembled::kind::none;
  opcode op = opcode::continuation;
  bytes payload;
  bool compressed = false;
  violation broken = violation::none;

  friend bool operator==(const event&, const event&) = default;
  friend std::ostream& operator<<(std::ostream& out, const event& e) {
    if (e.what == assembled::kind::violation) return out << "violation: " << describe(e.broken);
    out << (e.what == assembled::kind::message ? "message" : "control") << " opcode " << static_cast<int>(e.op);
    if (e.compressed) out << " compressed";
    out << " [" << e.payload.size() << "]";
    for (std::size_t i = 0; i < e.payload.size() && i < 16; ++i) out << ' ' << std::to_integer<int>(e.payload[i]);
    return out;
  }
};

using events = std::vector<event>;
inline std::ostream& operator<<(std::ostream& out, const events& story) {
  for (const event& e : story) out << e << "; ";
  return out;
}

[[nodiscard]] inline event text_message(std::string_view text) {
  return {.what = assembled::kind::message, .op = opcode::text, .payload = to_bytes(text)};
}
[[nodiscard]] inline event binary_message(bytes payload) {
  return {.what = assembled::kind::message, .op = opcode::binary, .payload = std::move(payload)};
}
[[nodiscard]] inline event control(opcode op, bytes payload = {}) {
  return {.what = assembled::kind::control, .op = op, .payload = std::move(payload)};
}
[[nodiscard]] inline event broke(violation rule) { return {.what = assembled::kind::violation, .broken = rule}; }

inline constexpr frame_rules to_server{.our_role = role::server, .payload_bytes_max = 1 << 20};
inline constexpr frame_rules to_client{.our_role = role::client, .payload_bytes_max = 1 << 20};
inline constexpr frame_rules to_server_with_deflate{.our_role = role::server, .payload_bytes_max = 1 << 20, .rsv1_allowed = true};

enum class placement { before_guard, behind_guard };

/// One connection's reading end. What is not consumed moves on to the next arrival, to a new place.
class reading_end {
 public:
  reading_end(const frame_rules& rules, std::uint64_t message_bytes_max, placement where, std::size_t bytes_max)
      : rules_(rules), message_bytes_max_(message_bytes_max), where_(where), memory_(bytes_max) {}

  void arrive(std::span<const std::byte> piece) {
    if (failed_) return;
    pending_.insert(pending_.end(), piece.begin(), piece.end());
    std::span<std::byte> input = where_ == placement::before_guard ? memory_.place_last(pending_) : memory_.place_first(pending_);
    while (!failed_) {
      const bytes before(input.begin(), input.end());
      const frame_result result = read_frame(input, rules_);
      if (result.status == read_status::need_more) {
        BOOST_REQUIRE_MESSAGE(result.frame_bytes_wanted == 0 || result.frame_bytes_wanted > input.size(), "need more wants what is there");
        const std::size_t checked = seen_.checked_bytes();
        if (const violation rule = seen_.check(input, rules_, assembler_, message_bytes_max_); rule != violation::none) {
          add(broke(rule));
        }
        checked_bytes_ += seen_.checked_bytes() - checked;
        BOOST_REQUIRE_MESSAGE(std::ranges::equal(input, before), "need more has changed the input");
        break;
      }
      if (result.status == read_status::violation) {
        add(broke(result.broken));
        break;
      }
      const frame& whole = result.value;
      BOOST_REQUIRE(whole.frame_bytes <= input.size());
      BOOST_REQUIRE(whole.payload.data() + whole.payload.size() == input.data() + whole.frame_bytes);
      const auto is_ascii = [](std::byte octet) { return std::to_integer<unsigned>(octet) < 0x80; };
      BOOST_REQUIRE(!whole.is_ascii || std::ranges::all_of(whole.payload, is_ascii));
      const assembled made = assembler_.take(whole, message_bytes_max_, seen_);
      seen_ = {};
      if (made.what != assembled::kind::none) {
        add({made.what, made.op, bytes(made.payload.begin(), made.payload.end()), made.compressed, made.broken});
      }
      input = input.subspan(whole.frame_bytes);
    }
    pending_.assign(input.begin(), input.end());
  }

  [[nodiscard]] const events& story() const { return story_; }
  [[nodiscard]] const bytes& pending() const { return pending_; }
  /// Of texts, before their frames were whole.
  [[nodiscard]] std::size_t checked_bytes() const { return checked_bytes_; }

 private:
  void add(event e) {
    failed_ = e.what == assembled::kind::violation;
    story_.push_back(std::move(e));
  }

  frame_rules rules_;
  std::uint64_t message_bytes_max_;
  placement where_;
  guarded_memory memory_;
  message_assembler assembler_;
  unfinished_text seen_;
  std::size_t checked_bytes_ = 0;
  bytes pending_;
  events story_;
  bool failed_ = false;
};

/// Expects the same events from `input` however it arrives.
inline void expect_everywhere(const bytes& input, const events& expected, const frame_rules& rules = to_server,
                              std::uint64_t message_bytes_max = 1 << 20) {
  const auto run = [&](placement where, const std::string& how, const std::vector<std::size_t>& ends) {
    reading_end end(rules, message_bytes_max, where, input.size());
    std::size_t start = 0;
    for (const std::size_t stop : ends) {
      end.arrive(std::span(input).subspan(start, stop - start));
      start = stop;
    }
    BOOST_TEST_INFO(how);
    BOOST_TEST(end.story() == expected);
  };
  for (const placement where : {placement::before_guard, placement::behind_guard}) {
    run(where, "whole", {input.size()});
    std::vector<std::size_t> each;
    for (std::size_t at = 1; at <= input.size(); ++at) each.push_back(at);
    run(where, "byte by byte", each);
    for (std::size_t at = 0; at <= input.size(); ++at) {
      run(where, "split at " + std::to_string(at), {at, input.size()});
    }
  }
}

} // namespace ringcast::test
