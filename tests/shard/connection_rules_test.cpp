#include "engine/shard/connection_rules.hpp"

#include <boost/test/unit_test.hpp>

using namespace ringcast;
using namespace ringcast::engine;

BOOST_AUTO_TEST_SUITE(connection_rules_by_themselves)

namespace {

struct link_of_test final : client_link {
  void on_attempt_failed(connection_handle, const client_error&) override {}
  void on_connected(connection_handle) override {}
  void on_accepted(std::string_view) override {}
  void on_ending() override {}
  void on_output_taken(std::uint64_t, bool) override {}
  void on_link_closed(std::uint16_t, std::string_view, bool, std::uint64_t) override {}
};

struct rules_of_a_shard {
  shard_options options;
  client_seats seats;
  connection_rules rules{options, seats};
  websocket_endpoint endpoint;
  connection c;
};

} // namespace

BOOST_FIXTURE_TEST_CASE(what_an_endpoint_does_not_say_is_the_server_s, rules_of_a_shard) {
  options.limits.ping_interval_ms = 1'000;
  options.limits.pong_timeout_ms = 2'000;
  options.limits.idle_timeout_ms = 3'000;
  c.endpoint = &endpoint;
  BOOST_TEST(rules.ping_interval_of(c) == 1'000u);
  BOOST_TEST(rules.pong_timeout_of(c) == 2'000u);
  BOOST_TEST(rules.idle_timeout_of(c) == 3'000u);
  endpoint.ping_interval_ms = 10, endpoint.pong_timeout_ms = 20, endpoint.idle_timeout_ms = 0;
  BOOST_TEST(rules.ping_interval_of(c) == 10u);
  BOOST_TEST(rules.pong_timeout_of(c) == 20u);
  BOOST_TEST(rules.idle_timeout_of(c) == 0u);
}

BOOST_FIXTURE_TEST_CASE(a_client_has_the_limits_of_its_plan_and_the_server_s_when_it_has_let_go, rules_of_a_shard) {
  client_plan plan;
  plan.limits.message_bytes_max = 5;
  link_of_test link;
  link.plan = &plan;
  c.is_client = true;
  seats.take(c).link = &link;
  BOOST_TEST(rules.limits_of(c).message_bytes_max == 5u);
  BOOST_TEST(static_cast<int>(rules.frame_rules_of(c).our_role) == static_cast<int>(role::client));
  BOOST_TEST(seats.take_link(c).first == &link);
  BOOST_TEST(rules.limits_of(c).message_bytes_max == options.limits.message_bytes_max);
}

BOOST_FIXTURE_TEST_CASE(a_compressed_frame_may_be_a_little_longer_than_its_message, rules_of_a_shard) {
  c.endpoint = &endpoint;
  const std::uint64_t message_bytes_max = options.limits.message_bytes_max;
  BOOST_TEST(rules.frame_rules_of(c).payload_bytes_max == message_bytes_max);
  BOOST_TEST(!rules.frame_rules_of(c).rsv1_allowed);
  c.deflate_bits = 15;
  BOOST_TEST(rules.frame_rules_of(c).payload_bytes_max > message_bytes_max);
  BOOST_TEST(rules.frame_rules_of(c).rsv1_allowed);
}

BOOST_AUTO_TEST_SUITE_END()
