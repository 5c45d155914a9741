// Messages that are passed on as they come: joined again they are what message_assembler makes of the same bytes, however these were cut.
#include "proto/message_parts.hpp"
#include "tests/proto/everywhere.hpp"

#include <boost/test/unit_test.hpp>
#include <random>

using namespace ringcast;
using namespace ringcast::test;

namespace {

constexpr std::uint64_t bytes_max = 3000;

// What a story comes to: whole messages and control frames, and the rule that was broken at its end.
struct story {
  events told;
  std::size_t parts = 0;
  std::size_t longest_part = 0;
};

void add(story& to, const message_step& step, bytes& joined) {
  switch (step.what) {
  case message_step::kind::need_more: return;
  case message_step::kind::part:
    ++to.parts;
    to.longest_part = std::max(to.longest_part, step.payload.size());
    BOOST_TEST((step.is_last || !step.payload.empty()));
    joined.insert(joined.end(), step.payload.begin(), step.payload.end());
    if (!step.is_last) return;
    to.told.push_back({.what = assembled::kind::message, .op = step.op, .payload = std::exchange(joined, {})});
    return;
  case message_step::kind::control:
    to.told.push_back(
        {.what = assembled::kind::control, .op = step.control.op, .payload = {step.control.payload.begin(), step.control.payload.end()}});
    return;
  case message_step::kind::violation: to.told.push_back({.what = assembled::kind::violation, .broken = step.broken}); return;
  }
}

bool is_over(const story& s) { return !s.told.empty() && s.told.back().what == assembled::kind::violation; }

// As a connection does: what was not taken is kept until there is as much as was wanted.
story read_in_parts(const bytes& input, const std::vector<std::size_t>& cuts, role our_role) {
  const frame_rules rules{.our_role = our_role, .payload_bytes_max = bytes_max};
  message_parts parts;
  story told;
  bytes joined, kept;
  std::size_t wanted = 0, at = 0;
  for (const std::size_t cut : cuts) {
    kept.insert(kept.end(), input.begin() + static_cast<std::ptrdiff_t>(at), input.begin() + static_cast<std::ptrdiff_t>(cut));
    at = cut;
    if (kept.size() < wanted) continue;
    std::size_t done = 0;
    while (done < kept.size() && !is_over(told)) {
      const message_step step = parts.read(std::span{kept}.subspan(done), rules, bytes_max);
      add(told, step, joined);
      done += step.bytes;
      wanted = step.wanted;
      if (step.what == message_step::kind::need_more && step.bytes == 0) break;
    }
    if (is_over(told)) return told;
    kept.erase(kept.begin(), kept.begin() + static_cast<std::ptrdiff_t>(done));
    // A header waits for its rest, a payload for nothing.
    BOOST_TEST(kept.size() < 140u);
  }
  return told;
}

events read_whole(bytes input, role our_role) {
  const frame_rules rules{.our_role = our_role, .payload_bytes_max = bytes_max};
  message_assembler joins;
  events told;
  std::size_t done = 0;
  while (done < input.size()) {
    const frame_result read = read_frame(std::span{input}.subspan(done), rules);
    if (read.status == read_status::need_more) break;
    if (read.status == read_status::violation) {
      told.push_back({.what = assembled::kind::violation, .broken = read.broken});
      break;
    }
    done += read.value.frame_bytes;
    if (is_control(read.value.op)) { // judged by whoever is given it
      told.push_back({.what = assembled::kind::control, .op = read.value.op, .payload = {read.value.payload.begin(), read.value.payload.end()}});
      continue;
    }
    const assembled m = joins.take(read.value, bytes_max);
    if (m.what == assembled::kind::none) continue;
    told.push_back({.what = m.what, .op = m.op, .payload = {m.payload.begin(), m.payload.end()}, .broken = m.broken});
    if (m.what == assembled::kind::violation) break;
    joins.release();
  }
  return told;
}

std::vector<std::size_t> all_at_once(const bytes& input) { return {input.size()}; }

std::vector<std::size_t> byte_by_byte(const bytes& input) {
  std::vector<std::size_t> cuts;
  for (std::size_t i = 1; i <= input.size(); ++i) cuts.push_back(i);
  return cuts;
}

const bytes umlauts = to_bytes("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");

// Frames as peers send them, now and then with something wrong.
class peer {
 public:
  peer(std::uint32_t seed, bool masked) : random_(seed), masked_(masked) {}

  bytes say(int frames) {
    bytes out;
    bool inside = false;
    for (int i = 0; i < frames; ++i) {
      if (one_of(6) == 0) {
        out = out + frame_of(9, noise(one_of(126), i), true);
        continue;
      }
      const bool wrong = one_of(60) == 0;
      const bool fin = one_of(3) != 0 || i + 1 == frames;
      const unsigned op = inside != wrong ? 0 : 1 + one_of(2);
      if (op != 0) is_text_ = op == 1;
      out = out + frame_of(op, payload(), fin);
      inside = !fin;
    }
    return out;
  }

 private:
  unsigned one_of(unsigned n) { return random_() % n; }
  bytes payload() {
    if (!is_text_) return noise(one_of(4) == 0 ? one_of(1200) : one_of(30), one_of(1000));
    bytes text;
    for (unsigned left = one_of(40); left > 0; --left) text = text + (one_of(2) == 0 ? umlauts : to_bytes("plain text, "));
    if (!text.empty() && one_of(40) == 0) text[one_of(static_cast<unsigned>(text.size()))] = std::byte{0xff};
    return text;
  }
  bytes frame_of(unsigned op, bytes payload, bool fin) {
    wire_frame made{.opcode = op, .payload = std::move(payload), .fin = fin, .masked = masked_};
    for (unsigned& octet : made.key) octet = one_of(256);
    if (one_of(80) == 0) made.rsv = one_of(8);
    if (one_of(80) == 0) made.masked = !made.masked;
    if (one_of(80) == 0) made.form = length_form::eight_bytes;
    return made.write();
  }

  std::mt19937 random_;
  bool masked_, is_text_ = false;
};

} // namespace

BOOST_AUTO_TEST_SUITE(messages_in_parts)

BOOST_AUTO_TEST_CASE(joined_they_are_what_the_assembler_makes_of_the_same_bytes_however_they_were_cut) {
  std::size_t messages = 0, violations = 0, parts = 0;
  for (std::uint32_t seed = 0; seed < 3000; ++seed) {
    const role our_role = seed % 4 == 3 ? role::client : role::server;
    const bytes input = peer{seed, our_role == role::server}.say(1 + static_cast<int>(seed % 12));
    const events expected = read_whole(input, our_role);
    std::mt19937 random{seed};
    std::vector<std::size_t> cuts;
    for (std::size_t at = 0; at < input.size();) cuts.push_back(at = std::min<std::size_t>(input.size(), at + 1 + random() % 200));
    for (const auto& each : {all_at_once(input), byte_by_byte(input), cuts}) {
      const story told = read_in_parts(input, each, our_role);
      BOOST_TEST(told.told == expected, "seed " << seed << " with " << each.size() << " pieces");
      parts += told.parts;
    }
    for (const event& e : expected) ++(e.what == assembled::kind::violation ? violations : messages);
  }
  BOOST_TEST(messages > 3000u);
  BOOST_TEST(violations > 300u);
  BOOST_TEST(parts > 3 * messages);
}

BOOST_AUTO_TEST_CASE(what_has_come_of_a_frame_is_passed_on_and_nothing_is_kept) {
  const bytes payload = noise(2000, 1);
  const bytes input = wire_frame{.payload = payload}.write();
  const story told = read_in_parts(input, byte_by_byte(input), role::server);
  BOOST_TEST(told.parts == 2000u);
  BOOST_TEST(told.longest_part == 1u);
  BOOST_TEST(told.told == (events{{.what = assembled::kind::message, .op = opcode::binary, .payload = payload}}));
}

BOOST_AUTO_TEST_CASE(a_message_above_the_bound_is_refused_by_the_header_that_says_so) {
  for (const std::size_t bytes_of_it : {bytes_max - 1, bytes_max, bytes_max + 1}) {
    const bytes half = noise(bytes_of_it / 2, 2), rest = noise(bytes_of_it - half.size(), 3);
    const bytes begins = wire_frame{.payload = half, .fin = false}.write();
    const bytes ends = wire_frame{.opcode = 0, .payload = rest}.write();
    // Only the header of the second frame has come.
    const bytes input = begins + bytes{ends.begin(), ends.begin() + 8};
    const story told = read_in_parts(input, all_at_once(input), role::server);
    BOOST_TEST(is_over(told) == (bytes_of_it > bytes_max));
    if (is_over(told)) BOOST_TEST((told.told.back().broken == violation::message_too_big));
  }
}

BOOST_AUTO_TEST_CASE(text_that_ends_within_a_character_and_text_that_cannot_be_any_are_found_where_they_are) {
  const bytes cut{umlauts.begin(), umlauts.end() - 1};
  const bytes whole = wire_frame{.opcode = 1, .payload = cut}.write();
  BOOST_TEST(is_over(read_in_parts(whole, byte_by_byte(whole), role::server)));
  const bytes begun = wire_frame{.opcode = 1, .payload = cut, .fin = false}.write();
  BOOST_TEST(!is_over(read_in_parts(begun, byte_by_byte(begun), role::server)));
  // The byte that is wrong is the last one that has come.
  const bytes wrong = wire_frame{.opcode = 1, .payload = to_bytes("ab\xff and more")}.write();
  const bytes until_it{wrong.begin(), wrong.begin() + 6 + 3};
  BOOST_TEST(is_over(read_in_parts(until_it, byte_by_byte(until_it), role::server)));
}

BOOST_AUTO_TEST_SUITE_END()
