// The words of Redis, cut anywhere.
#include "engine/cluster/resp.hpp"

#include <boost/test/unit_test.hpp>
#include <string>
#include <string_view>

namespace ringcast::engine {

BOOST_AUTO_TEST_SUITE(cluster_resp)

BOOST_AUTO_TEST_CASE(a_command_is_an_array_of_bulk_strings_with_any_bytes) {
  std::string out;
  using namespace std::string_view_literals;
  append_command(out, {"SET", "k", "a\r\n\0b"sv, ""});
  BOOST_TEST(out == "*4\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\na\r\n\0b\r\n$0\r\n\r\n"sv);
}

BOOST_AUTO_TEST_CASE(answers_are_read_wherever_they_are_cut) {
  const std::string_view said = "+OK\r\n:42\r\n-NOSCRIPT no\r\n*2\r\n$2\r\n17\r\n*1\r\n$-1\r\n";
  for (std::size_t cut = 0; cut <= said.size(); ++cut) {
    resp_reader reader;
    std::string heard;
    for (const std::string_view part : {said.substr(0, cut), said.substr(cut)}) {
      reader.feed(part);
      while (const auto reply = reader.next()) {
        const resp_value value = reply->value();
        heard += value.is_array()   ? "[" + std::to_string(value[0].number().value_or(0)) + (value[1][0].text().empty() ? "]" : "?")
                 : value.is_error() ? "!"
                                    : std::string{value.text()} + std::to_string(value.number().value_or(0));
        heard += ' ';
      }
    }
    BOOST_TEST(heard == "OK0 42 ! [17] ");
    BOOST_TEST(!reader.is_broken());
  }
}

BOOST_AUTO_TEST_CASE(what_is_not_there_reads_as_nothing_and_what_is_no_resp_is_noticed) {
  resp_reader reader;
  reader.feed(std::string_view{"*0\r\n"});
  const auto empty = reader.next();
  BOOST_REQUIRE(empty.has_value());
  BOOST_TEST(empty->value()[3][1].text().empty());
  BOOST_TEST(!empty->value()[0].number().has_value());
  reader.feed(std::string_view{"HTTP/1.1 400 Bad Request\r\n"});
  BOOST_TEST(!reader.next().has_value());
  BOOST_TEST(reader.is_broken());
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace ringcast::engine
