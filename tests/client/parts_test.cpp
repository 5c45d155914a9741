// The parts of a client by themselves: masking keys, Retry-After, numeric addresses.
#include "engine/base/masking_keys.hpp"
#include "engine/io/resolver.hpp"
#include "engine/shard/retry_after.hpp"

#include <boost/test/unit_test.hpp>
#include <cstring>
#include <future>
#include <set>

using namespace ringcast;
using namespace ringcast::engine;

BOOST_AUTO_TEST_SUITE(parts)

BOOST_AUTO_TEST_CASE(masking_keys_are_the_key_stream_of_rfc_8439_2_3_2) {
  std::array<std::byte, 32> key;
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::byte>(i);
  const std::array<std::byte, 12> nonce{std::byte{0}, std::byte{0},    std::byte{0}, std::byte{9}, std::byte{0}, std::byte{0},
                                        std::byte{0}, std::byte{0x4a}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}};
  masking_keys keys{key, nonce, 1};
  for (const std::uint32_t word : {0xe4e7f110u, 0x15593bd1u, 0x1fdd0f50u, 0xc47120a3u, 0xc7f4d1c7u, 0x0368c033u, 0x9aaa2204u, 0x4e6cd4c3u,
                                   0x466482d2u, 0x09aa9f07u, 0x05d7c214u, 0xa2028bd9u, 0xd19c12b5u, 0xb94e16deu, 0xe883d0cbu, 0x4e3c50a2u})
    BOOST_TEST(keys.next() == word);
}

BOOST_AUTO_TEST_CASE(two_sources_never_agree_and_keys_do_not_repeat_in_a_row) {
  masking_keys a, b;
  std::set<std::uint32_t> seen;
  for (int i = 0; i < 1000; ++i) {
    seen.insert(a.next());
    seen.insert(b.next());
  }
  // 2,000 draws of 32 bits: a pair that agrees has a chance of 1 in 2,150.
  BOOST_TEST(seen.size() >= 1998u);
  BOOST_TEST((a.next_nonce() != b.next_nonce()));
}

BOOST_AUTO_TEST_CASE(retry_after_is_seconds_or_a_date) {
  constexpr std::time_t now = 784111770; // Sun, 06 Nov 1994 08:49:30 GMT
  const auto ms = [](std::string_view text) { return parse_retry_after(text, now).count(); };
  BOOST_TEST(ms("120") == 120'000);
  BOOST_TEST(ms("0") == 0);
  BOOST_TEST(ms("Sun, 06 Nov 1994 08:49:37 GMT") == 7'000);
  BOOST_TEST(ms("Sunday, 06-Nov-94 08:49:37 GMT") == 7'000);
  BOOST_TEST(ms("Sun Nov  6 08:49:37 1994") == 7'000);
  BOOST_TEST(ms("Sun, 06 Nov 1994 08:49:00 GMT") == 0); // it has passed
  for (const char* bad :
       {"", "-5", "soon", "12 s", "1.5", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 GMTx"})
    BOOST_TEST(ms(bad) == 0, bad);
  BOOST_TEST(ms("99999999999999999999999") == 366LL * 86'400'000);
}

BOOST_AUTO_TEST_CASE(numeric_hosts_need_no_lookup) {
  BOOST_TEST(numeric_address("127.0.0.1", 80)->text() == "127.0.0.1:80");
  BOOST_TEST(numeric_address("::1", 8080)->text() == "[::1]:8080");
  BOOST_TEST(!numeric_address("localhost", 80));
}

BOOST_AUTO_TEST_CASE(questions_for_one_name_share_an_answer_and_each_is_answered) {
  std::vector<std::promise<std::size_t>> answers(20);
  for (auto& answer : answers) resolve("localhost", 80, [&answer](const resolved_name& found) { answer.set_value(found.addresses.size()); });
  for (auto& answer : answers) BOOST_TEST(answer.get_future().get() > 0u);
}

BOOST_AUTO_TEST_SUITE_END()
