// The options of ringcast-server: each is declared soundly, takes what its rules allow, and says what is wrong with everything else.
#include "apps/ringcast-server/command_line.hpp"
#include "apps/ringcast-server/option_texts.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <ranges>
#include <set>

using namespace ringcast;

namespace {

const option& named(std::string_view name) {
  const auto found = std::ranges::find(all_options(), name, &option::name);
  BOOST_REQUIRE(found != all_options().end());
  return *found;
}

std::expected<settings, std::string> read(const std::vector<std::string>& arguments) {
  const auto line = read_command_line(arguments);
  if (!line) return std::unexpected(line.error());
  return settings_of(line->options);
}

std::string complaint(const std::vector<std::string>& arguments) {
  const auto all = read(arguments);
  return all ? "nothing is wrong" : all.error();
}

std::string complaint_about(std::string_view name, std::string_view value) { return complaint({"--" + std::string{name}, std::string{value}}); }

bool is_refused(const option& o, std::string_view value, std::string_view why) {
  const std::string said = complaint_about(o.name, value);
  return said.starts_with("--" + std::string{o.name} + ": '" + std::string{value} + "' ") && said.contains(why) && !said.contains('\n') &&
         said.contains(o.allowed());
}

auto numbers() {
  return all_options() | std::views::filter([](const option& o) { return std::holds_alternative<number_rules>(o.rules); });
}

} // namespace

BOOST_AUTO_TEST_SUITE(options_of_the_server)

BOOST_AUTO_TEST_CASE(every_option_has_a_name_of_its_own_a_meaning_a_reason_and_a_default_that_it_takes) {
  std::set<std::string_view> names;
  for (const option& o : all_options()) {
    BOOST_TEST_CONTEXT(o.name) {
      BOOST_TEST(names.insert(o.name).second);
      BOOST_TEST(o.means.size() > 10u);
      BOOST_TEST(!o.reason.empty());
      settings all;
      const std::string value = o.default_text();
      if (!value.empty()) BOOST_TEST(o.set(all, std::vector{value}).has_value());
      BOOST_TEST(help_text().contains("--" + std::string{o.name} + " " + o.takes()));
    }
  }
  for (const command_word& word : all_command_words()) BOOST_TEST(names.insert(word.name).second);
}

BOOST_AUTO_TEST_CASE(a_number_is_taken_at_its_bounds_and_refused_beyond_them) {
  for (const option& o : numbers()) {
    const auto& rules = std::get<number_rules>(o.rules);
    const auto text = [&](std::uint64_t value) {
      return std::to_string(value) + (rules.unit == number_unit::microseconds ? "us" : rules.unit == number_unit::bytes ? "B" : "");
    };
    BOOST_TEST_CONTEXT(o.name) {
      for (const std::uint64_t bound : {rules.least, rules.most}) {
        settings all;
        BOOST_TEST(o.set(all, std::vector{text(bound)}).has_value());
        BOOST_TEST((rules.get(all) == bound / rules.step));
      }
      if (rules.least > 0) BOOST_TEST(is_refused(o, text(rules.least - 1), "is too small"));
      BOOST_TEST(is_refused(o, text(rules.most + 1), "is too large"));
      BOOST_TEST(is_refused(o, "18446744073709551616", "is too large"));
      if (rules.plain > 1) BOOST_TEST(is_refused(o, "18446744073709551615", "is too large"));
      if (rules.step > 1) BOOST_TEST(is_refused(o, text(rules.most - 1), "is finer than"));
    }
  }
}

BOOST_AUTO_TEST_CASE(what_is_no_number_is_refused) {
  for (const option& o : numbers())
    for (const std::string_view value :
         {"", " ", "-1", "+1", "many", "1.5", "0x10", "1e3", "1 2", "1 ", " 1", "1s1", "1_000", "1,000", "10x", "KiB", "true"})
      BOOST_TEST(is_refused(o, value, "is not a"), o.name << " took '" << value << "'");
}

BOOST_AUTO_TEST_CASE(a_unit_of_another_kind_is_refused) {
  for (const option& o : numbers()) {
    const number_unit unit = std::get<number_rules>(o.rules).unit;
    if (unit != number_unit::bytes) BOOST_TEST(is_refused(o, "1KiB", "is not a"));
    if (unit != number_unit::microseconds) BOOST_TEST(is_refused(o, "1s", "is not a"));
  }
}

BOOST_AUTO_TEST_CASE(sizes_and_times_have_units_and_plain_numbers_mean_what_the_name_says) {
  const auto message_bytes = [](const std::string& text) { return read({"--max-message-bytes", text})->server.limits.message_bytes_max; };
  BOOST_TEST(message_bytes("1000") == 1'000u);
  BOOST_TEST(message_bytes("1000B") == 1'000u);
  BOOST_TEST(message_bytes("64KiB") == 65'536u);
  BOOST_TEST(message_bytes("64 kib") == 65'536u);
  BOOST_TEST(message_bytes("2MiB") == 2u << 20);
  BOOST_TEST(message_bytes("1GiB") == 1u << 30);
  BOOST_TEST(message_bytes("3kB") == 3'000u);
  BOOST_TEST(message_bytes("1MB") == 1'000'000u);
  BOOST_TEST(read({"--memory-bytes", "1TiB"})->server.memory_bytes == 1ull << 40);
  const auto ping_ms = [](const std::string& text) { return read({"--ping-interval-s", text})->server.limits.ping_interval_ms; };
  BOOST_TEST(ping_ms("20") == 20'000u);
  BOOST_TEST(ping_ms("20s") == 20'000u);
  BOOST_TEST(ping_ms("250ms") == 250u);
  BOOST_TEST(ping_ms("1500000us") == 1'500u);
  BOOST_TEST(ping_ms("2m") == 120'000u);
  BOOST_TEST(ping_ms("1h") == 3'600'000u);
  BOOST_TEST(read({"--history-seconds", "2d"})->server.history.seconds == 172'800u);
  BOOST_TEST(read({"--spin-us", "20"})->server.spin_us == 20u);
  BOOST_TEST(read({"--spin-us", "1ms"})->server.spin_us == 1'000u);
}

BOOST_AUTO_TEST_CASE(auto_is_what_the_server_makes_of_it) {
  BOOST_TEST(read({"--shards", "auto"})->server.shards == 0u);
  BOOST_TEST(read({"--shards", "3"})->server.shards == 3u);
  BOOST_TEST(read({"--memory-bytes", "auto"})->server.memory_bytes == 0u);
  BOOST_TEST(!read({"--compression-level", "auto"})->server.compression.level.has_value());
  BOOST_TEST((read({"--compression-level", "0"})->server.compression.level == 0u));
  BOOST_TEST((read({"--compression-threshold", "0"})->server.compression.threshold_bytes == 0u));
}

BOOST_AUTO_TEST_CASE(a_word_that_is_none_of_the_choices_is_refused) {
  for (const option& o : all_options()) {
    if (const auto* choice = std::get_if<choice_rules>(&o.rules))
      for (std::size_t i = 0; i < choice->words.size(); ++i) {
        settings all;
        BOOST_TEST(o.set(all, std::vector{std::string{choice->words[i]}}).has_value());
        BOOST_TEST(choice->get(all) == i);
        BOOST_TEST(is_refused(o, std::string{choice->words[i]} + "x", "is none of"));
      }
  }
  BOOST_TEST((read({"--slow-consumer", "drop-oldest"})->server.policy == slow_consumer::drop_oldest));
  BOOST_TEST((read({"--log-level=error"})->log_level == log_level::error));
  BOOST_TEST(is_refused(named("compression"), "", "is none of"));
}

BOOST_AUTO_TEST_CASE(what_is_given_twice_is_refused_but_for_lists) {
  for (const option& o : all_options()) {
    const std::string flag = "--" + std::string{o.name};
    if (!o.is_list()) BOOST_TEST(complaint({flag, "a", flag, "b"}) == flag + ": is given 2 times: 'a' and 'b'");
  }
  const auto origins = [](const std::vector<std::string>& arguments) { return read(arguments)->server.allowed_origins; };
  const std::vector<std::string> both{"http://a", "http://b"};
  BOOST_TEST((origins({"--allowed-origin", "http://a", "--allowed-origin", "http://b"}) == both));
  BOOST_TEST((origins({"--allowed-origin", "http://a", "http://b", "--shards", "1"}) == both));
  BOOST_TEST(complaint({"--allowed-origin", "http://a/path"}).starts_with("--allowed-origin: "));
}

BOOST_AUTO_TEST_CASE(an_unknown_option_is_told_the_nearest_right_name) {
  BOOST_TEST(complaint({"--shard", "1"}) == "--shard is not known, did you mean --shards?");
  BOOST_TEST(complaint({"--max-mesage-bytes=1"}) == "--max-mesage-bytes is not known, did you mean --max-message-bytes?");
  BOOST_TEST(complaint({"--ping-interval", "1"}) == "--ping-interval is not known, did you mean --ping-interval-s?");
  BOOST_TEST(complaint({"--lisetn", "1"}) == "--lisetn is not known, did you mean --listen?");
  BOOST_TEST(complaint({"--hlep"}) == "--hlep is not known, did you mean --help?");
  BOOST_TEST(complaint({"--unheard-of"}) == "--unheard-of is not known");
  BOOST_TEST(complaint({std::string(1'000'000, '-')}).ends_with("- is not known"));
  BOOST_TEST(complaint({"stray"}) == "'stray' is no option: each begins with --");
  BOOST_TEST(complaint({"-x"}) == "'-x' is no option: each begins with --");
}

BOOST_AUTO_TEST_CASE(a_missing_value_is_said) {
  for (const option& o : all_options()) {
    const std::string flag = "--" + std::string{o.name};
    BOOST_TEST(complaint({flag}) == flag + " needs a value: " + flag + " " + o.takes());
    BOOST_TEST(complaint({flag, "--help"}) == flag + " needs a value: " + flag + " " + o.takes());
  }
  BOOST_TEST(complaint({"--listen="}) == "--listen: '' is no address; allowed: 127.0.0.1:8080, [::1]:8080, :8080, unix:/path, fd:3");
  BOOST_TEST(complaint({"--help=x"}) == "--help takes no value, and 'x' is given");
}

BOOST_AUTO_TEST_CASE(certificates_and_keys_come_in_pairs_and_take_the_default_address_away) {
  const auto all = read({"--listen-tls", "127.0.0.1:1", "--tls-cert", "a", "--tls-key", "b", "--tls-cert", "c", "--tls-key", "d"});
  BOOST_REQUIRE(all.has_value());
  BOOST_TEST(all->server.listen.empty());
  BOOST_REQUIRE(all->server.tls.certificates.size() == 2u);
  BOOST_TEST(all->server.tls.certificates[1].chain_file == "c");
  BOOST_TEST(all->server.tls.certificates[1].key_file == "d");
  const auto both = read({"--listen", "127.0.0.1:2", "--listen-tls", "127.0.0.1:1", "--tls-cert", "a", "--tls-key", "b"});
  BOOST_TEST((both->server.listen == std::vector<std::string>{"127.0.0.1:2"}));
  BOOST_TEST(complaint({"--listen-tls", "127.0.0.1:1", "--tls-cert", "a"}) == "--tls-cert and --tls-key come in pairs");
  BOOST_TEST(complaint({"--tls-cert", "a", "--tls-key", "a"}) == "--listen-tls, --tls-cert and --tls-key are given together");
}

BOOST_AUTO_TEST_CASE(the_environment_has_every_option_and_the_command_line_wins) {
  const char* const environment[] = {"PATH=/bin", "RINGCAST_SHARDS=3", "RINGCAST_ALLOWED_ORIGIN=http://a,http://b", "RINGCAST_SPIN_US=", nullptr};
  auto found = read_environment(environment);
  BOOST_TEST(found.options.size() == 2u);
  BOOST_TEST(found.remarks.empty());
  const auto alone = settings_of(found.options);
  BOOST_TEST(alone->server.shards == 3u);
  BOOST_TEST(alone->server.allowed_origins.size() == 2u);
  const auto line = read_command_line(std::vector<std::string>{"--shards", "2", "--allowed-origin", "http://c"});
  found.options.insert(found.options.end(), line->options.begin(), line->options.end());
  const auto both = settings_of(found.options);
  BOOST_TEST(both->server.shards == 2u);
  BOOST_TEST((both->server.allowed_origins == std::vector<std::string>{"http://c"}));
}

BOOST_AUTO_TEST_CASE(what_is_wrong_in_the_environment_is_told_by_its_name_there) {
  for (const option& o : numbers()) {
    const std::string line = o.variable() + "=many";
    const char* const environment[] = {line.c_str(), nullptr};
    const auto all = settings_of(read_environment(environment).options);
    BOOST_REQUIRE(!all.has_value());
    BOOST_TEST(all.error().starts_with(o.variable() + ": 'many' is not a"));
  }
  // Not ours, and one that is meant to be.
  const char* const others[] = {"RINGCAST_SERVER=/bin/x", "RINGCAST_CLIENT=x", "RINGCAST_SANITIZER=", "RINGCAST_LISTN=x", "RINGCAST_", nullptr};
  const auto found = read_environment(others);
  BOOST_TEST(found.options.empty());
  BOOST_REQUIRE(found.remarks.size() == 1u);
  BOOST_TEST(found.remarks[0] == "RINGCAST_LISTN in the environment is no option and is ignored, did you mean RINGCAST_LISTEN?");
}

BOOST_AUTO_TEST_SUITE_END()
