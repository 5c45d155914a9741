// How messages travel through the engine: anybody may write there.
#include "engine/cluster/batch.hpp"

#include <boost/test/unit_test.hpp>
#include <random>
#include <string>
#include <string_view>

namespace ringcast::engine {

namespace {

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span{text}); }
std::string text(std::span<const std::byte> of) { return {reinterpret_cast<const char*>(of.data()), of.size()}; }

std::vector<std::byte> three() {
  batch_writer writer;
  writer.append(opcode::text, bytes("one"));
  writer.append(opcode::binary, {});
  writer.append(opcode::text, bytes("drei \xe2\x82\xac"));
  const auto whole = writer.finish(7, 9);
  return {whole.begin(), whole.end()};
}

} // namespace

BOOST_AUTO_TEST_SUITE(cluster_batch_of_messages)

BOOST_AUTO_TEST_CASE(what_was_written_is_read) {
  const auto whole = three();
  const auto view = batch_view::read(whole, 3);
  BOOST_REQUIRE(view.has_value());
  BOOST_TEST(view->writer == 7u);
  BOOST_TEST(view->id == 9u);
  BOOST_TEST(text(view->messages[0].payload) == "one");
  BOOST_TEST((view->messages[1].op == opcode::binary && view->messages[1].payload.empty()));
  BOOST_TEST(text(view->messages[2].payload) == "drei \xe2\x82\xac");
}

BOOST_AUTO_TEST_CASE(what_is_cut_or_counts_wrong_or_is_no_text_is_none) {
  const auto whole = three();
  for (std::size_t size = 0; size < whole.size(); ++size) BOOST_TEST(!batch_view::read(std::span{whole}.first(size), 3).has_value());
  for (const std::uint32_t count : {0u, 1u, 2u, 4u, UINT32_MAX}) BOOST_TEST(!batch_view::read(whole, count).has_value());
  auto wrong = whole;
  wrong[16] = std::byte{8}; // a Close frame's opcode
  BOOST_TEST(!batch_view::read(wrong, 3).has_value());
  wrong = whole;
  wrong[21] = std::byte{0xff}; // no UTF-8
  BOOST_TEST(!batch_view::read(wrong, 3).has_value());
}

BOOST_AUTO_TEST_CASE(bytes_of_anybody_are_read_without_harm) {
  std::mt19937_64 draw(1);
  std::size_t read = 0;
  for (int i = 0; i < 100'000; ++i) {
    auto some = three();
    for (int changes = 0; changes < 2; ++changes) some[draw() % some.size()] = static_cast<std::byte>(draw());
    if (const auto view = batch_view::read(some, 3)) {
      ++read;
      for (const batch_message& m : view->messages)
        BOOST_REQUIRE((m.payload.empty() || (m.payload.data() >= some.data() && m.payload.data() + m.payload.size() <= some.data() + some.size())));
    }
  }
  BOOST_TEST(read > 0u);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace ringcast::engine
