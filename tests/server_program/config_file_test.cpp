// Options from a file: the same rules as on the command line, and each complaint has its file and line.
#include "apps/ringcast-server/config_file.hpp"
#include "apps/ringcast-server/option_texts.hpp"

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

using namespace ringcast;
namespace fs = std::filesystem;

namespace {

// Gone at the end of its case.
class temporary_folder {
 public:
  temporary_folder() {
    std::string name = (fs::temp_directory_path() / "ringcast-config-XXXXXX").string();
    BOOST_REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~temporary_folder() { fs::remove_all(path_); }
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;
  [[nodiscard]] std::string operator/(const char* name) const { return (path_ / name).string(); }

 private:
  fs::path path_;
};

std::expected<settings, std::string> read(std::string_view text) {
  const auto given = read_config(text, "f");
  if (!given) return std::unexpected(given.error());
  return settings_of(*given);
}

std::string complaint(std::string_view text) {
  const auto all = read(text);
  return all ? "nothing is wrong" : all.error();
}

std::string complaint_about_file(const std::string& path) {
  const auto given = read_config_file(path);
  return given ? "nothing is wrong" : given.error();
}

} // namespace

BOOST_AUTO_TEST_SUITE(configuration)

BOOST_AUTO_TEST_CASE(a_file_sets_what_it_names_and_nothing_else) {
  const auto all = read("listen = [\"127.0.0.1:1\", \"127.0.0.1:2\"]\n"
                        "allowed_origin = \"http://a\" # one needs no array\n"
                        "shards = 2\n"
                        "max_message_bytes = \"64KiB\"\n"
                        "ping_interval_s = \"250ms\"\n"
                        "slow_consumer = \"latest\"\n");
  BOOST_REQUIRE(all.has_value());
  BOOST_TEST((all->server.listen == std::vector<std::string>{"127.0.0.1:1", "127.0.0.1:2"}));
  BOOST_TEST((all->server.allowed_origins == std::vector<std::string>{"http://a"}));
  BOOST_TEST(all->server.shards == 2u);
  BOOST_TEST(all->server.limits.message_bytes_max == 65'536u);
  BOOST_TEST(all->server.limits.ping_interval_ms == 250u);
  BOOST_TEST((all->server.policy == slow_consumer::latest));
  BOOST_TEST(all->server.limits.pong_timeout_ms == server_limits{}.pong_timeout_ms);
}

BOOST_AUTO_TEST_CASE(the_example_with_every_line_taken_in_sets_the_defaults) {
  std::string example = example_file();
  BOOST_TEST(read(example).has_value());
  std::string taken_in;
  std::size_t options = 0;
  for (std::size_t from = 0, end; from < example.size(); from = end + 1) {
    end = example.find('\n', from);
    std::string_view line = std::string_view{example}.substr(from, end - from);
    BOOST_TEST(line.size() <= 80u);
    const bool is_option = line.starts_with('#') && !line.starts_with("# ") && line != "#";
    options += is_option ? 1 : 0;
    taken_in.append(is_option ? line.substr(1) : line).append(1, '\n');
  }
  BOOST_TEST(options == all_options().size());
  const auto given = read_config(taken_in, "f");
  BOOST_REQUIRE_MESSAGE(given.has_value(), given.error());
  BOOST_TEST(given->size() == all_options().size());
  settings all;
  for (const given_option& each : *given) {
    BOOST_TEST_CONTEXT(each.where) { BOOST_TEST(each.what->set(all, each.values).has_value()); }
  }
  for (const option& o : all_options()) {
    if (const auto* number = std::get_if<number_rules>(&o.rules)) BOOST_TEST((number->get(all) == number->get(settings{})), o.name);
    if (const auto* choice = std::get_if<choice_rules>(&o.rules)) BOOST_TEST(choice->get(all) == choice->get(settings{}), o.name);
  }
  BOOST_TEST((all.server.listen == settings{}.server.listen));
}

BOOST_AUTO_TEST_CASE(each_option_of_a_wrong_type_is_refused_with_its_line) {
  for (const option& o : all_options()) {
    const auto refused = [&](std::string_view value, std::string_view what) {
      const std::string said = complaint(fmt::format("\n{} = {}\n", o.key(), value));
      return said.starts_with(fmt::format("f:2: {}: takes {}, and {} is given", o.key(), o.takes(), what)) && said.contains(o.allowed());
    };
    BOOST_TEST_CONTEXT(o.name) {
      BOOST_TEST(refused("true", "a truth value"));
      BOOST_TEST(refused("1.5", "a number with a fraction"));
      BOOST_TEST(refused("2026-01-01", "a date or time"));
      BOOST_TEST(refused("{ a = 1 }", "a table"));
      if (!o.is_list()) BOOST_TEST(refused("[]", "an array"));
      if (o.is_list()) BOOST_TEST(refused("[\"a\", [\"b\"]]", "an array"));
      if (!std::holds_alternative<number_rules>(o.rules)) BOOST_TEST(refused("1", "a number"));
    }
  }
}

BOOST_AUTO_TEST_CASE(a_value_that_is_refused_has_its_line) {
  BOOST_TEST(complaint("shards = 2\n\nping_interval_s = \"2 weeks\"\n") ==
             "f:3: ping_interval_s: '2 weeks' is not a time; allowed: 0 to 1d (a number of seconds, or with a unit: us, ms, s, m, h or d)");
  for (const option& o : all_options()) {
    const auto* number = std::get_if<number_rules>(&o.rules);
    if (number == nullptr) continue;
    BOOST_TEST_CONTEXT(o.name) {
      BOOST_TEST(complaint(o.key() + " = -1").starts_with("f:1: " + o.key() + ": '-1' is not a"));
      BOOST_TEST(complaint(o.key() + " = 9223372036854775807").contains("is too large; allowed: "));
      BOOST_TEST(complaint(o.key() + " = \"1 mile\"").contains("is not a"));
    }
  }
}

BOOST_AUTO_TEST_CASE(an_unknown_key_is_told_the_nearest_right_name_and_the_first_line_that_is_wrong_is_told) {
  BOOST_TEST(complaint("shards = 1\nmax-connections = 1\n") == "f:2: max-connections is not known, did you mean max_connections?");
  BOOST_TEST(complaint("z = 1\nping_intervall_s = true\na = 1\n") == "f:1: z is not known");
  BOOST_TEST(complaint("[server]\nlisten = \"a\"\n") == "f:1: server is not known");
  BOOST_TEST(complaint("ping_interval = 1") == "f:1: ping_interval is not known, did you mean ping_interval_s?");
}

BOOST_AUTO_TEST_CASE(a_key_that_stands_twice_and_what_is_no_toml_has_its_line) {
  for (const option& o : all_options()) {
    const std::string said = complaint(o.key() + " = \"a\"\n" + o.key() + " = \"a\"\n");
    BOOST_TEST(said.starts_with("f:2: "), said);
    BOOST_TEST(said.contains(o.key()));
  }
  for (const std::string_view text :
       {"shards = ", "shards", "= 1", "shards = 1 2", "shards = \"1", "[", "\xff", "shards = 1\x01", "listen = \"\xc3\x28\""})
    BOOST_TEST(complaint(text).starts_with("f:1: "), complaint(text));
  // As UTF-8 text that somebody else has written.
  BOOST_TEST(complaint("\xff\xfes\0h\0").starts_with("f:1: "));
  BOOST_TEST(complaint(std::string(100'000, '[')).starts_with("f:1: "));
  BOOST_TEST(complaint("a = " + std::string(100'000, '[')).starts_with("f:1: "));
}

BOOST_AUTO_TEST_CASE(an_address_that_cannot_be_one_is_refused_with_its_line) {
  for (const std::string_view text :
       {"nonsense", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:http", "unix:", "fd:", "fd:x", ":"})
    BOOST_TEST(complaint(fmt::format("shards = 1\nlisten = [\"127.0.0.1:0\", \"{}\"]", text)) ==
               fmt::format("f:2: listen: '{}' is no address; allowed: 127.0.0.1:8080, [::1]:8080, :8080, unix:/path, fd:3", text));
  for (const std::string_view text : {"127.0.0.1:0", "[::1]:65535", "unix:@name", "unix:/a:b", "fd:3"})
    BOOST_TEST(read(fmt::format("listen = \"{}\"", text)).has_value(), complaint(fmt::format("listen = \"{}\"", text)));
}

BOOST_AUTO_TEST_CASE(nothing_is_no_mistake) {
  for (const std::string_view text : {"", "\n\n", "# nothing\n", "\xef\xbb\xbfshards = 1\n"}) BOOST_TEST(read(text).has_value(), complaint(text));
}

BOOST_AUTO_TEST_CASE(a_file_that_cannot_be_one_is_refused_without_being_read) {
  const temporary_folder folder;
  BOOST_TEST(complaint_about_file(folder / "none") == folder / "none: No such file or directory");
  BOOST_TEST(complaint_about_file(folder / ".") == folder / ".: is a folder");
  BOOST_TEST(complaint_about_file("/dev/zero") == "/dev/zero: is not a file");
  const std::string pipe = folder / "pipe", large = folder / "large", fits = folder / "fits";
  BOOST_REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  BOOST_TEST(complaint_about_file(pipe) == pipe + ": is not a file"); // and nobody waits for its other end
  std::ofstream{fits} << "shards = 1\n" << std::string((1u << 20) - 11, '\n');
  BOOST_TEST(complaint_about_file(fits) == "nothing is wrong");
  std::ofstream{fits, std::ios::app} << '\n';
  BOOST_TEST(complaint_about_file(fits) == fits + ": has 1048577 bytes, and a configuration has at most 1048576");
  std::ofstream{large}.close();
  fs::resize_file(large, 1u << 30);
  BOOST_TEST(complaint_about_file(large) == large + ": has 1073741824 bytes, and a configuration has at most 1048576");
  if (::geteuid() != 0) {
    fs::permissions(fits, fs::perms::none);
    BOOST_TEST(complaint_about_file(fits) == fits + ": Permission denied");
  }
}

BOOST_AUTO_TEST_CASE(tables_of_rooms_have_a_pattern_and_options_of_the_server) {
  std::vector<room_entry> rooms;
  const auto given = read_config("shards = 1\n"
                                 "[[room]]\npattern = \"prices/*\"\nslow_consumer = \"latest\"\nsend_queue_bytes = \"64KiB\"\nhistory_messages = 1\n"
                                 "[[room]]\npattern = \"chat/*\"\nhistory_seconds = \"5m\"\nhistory_bytes = \"1MiB\"\nmax_message_bytes = 4096\n"
                                 "[[room]]\npattern = \"*\"\nhistory_messages = 0\n",
                                 "f", &rooms);
  BOOST_REQUIRE_MESSAGE(given.has_value(), given.error());
  BOOST_TEST(given->size() == 1u);
  BOOST_REQUIRE(rooms.size() == 3u);
  BOOST_TEST(rooms[0].pattern == "prices/*");
  BOOST_TEST((rooms[0].policy == slow_consumer::latest));
  BOOST_TEST((rooms[0].send_queue_bytes_max == 65'536u));
  BOOST_TEST((rooms[0].history && rooms[0].history->messages == 1 && rooms[0].history->bytes == 0 && rooms[0].history->seconds == 0));
  BOOST_TEST(!rooms[0].message_bytes_max.has_value());
  BOOST_TEST((!rooms[1].policy && !rooms[1].send_queue_bytes_max));
  BOOST_TEST((rooms[1].history && rooms[1].history->messages == 0 && rooms[1].history->bytes == 1u << 20 && rooms[1].history->seconds == 300));
  BOOST_TEST((rooms[1].message_bytes_max == 4096u));
  // Is given, and keeps nothing.
  BOOST_TEST((rooms[2].history && !rooms[2].history->is_on()));
}

BOOST_AUTO_TEST_CASE(tables_of_rooms_have_what_only_rooms_have) {
  std::vector<room_entry> rooms;
  const auto given =
      read_config("[[room]]\npattern = \"a\"\nmax_members = 3\npresence = \"off\"\nmax_room_messages_per_s = 10\nburst_room_messages = 20\n"
                  "join = \"anyone\"\npublish = [\"claims\", \"user:admin-*\"]\n"
                  "[[room]]\npattern = \"b\"\nmax_room_messages_per_s = 7\n[[room]]\npattern = \"c\"\n",
                  "f", &rooms);
  BOOST_REQUIRE_MESSAGE(given.has_value(), given.error());
  BOOST_REQUIRE(rooms.size() == 3u);
  BOOST_TEST((rooms[0].members_max == 3u));
  BOOST_TEST((rooms[0].presence == false));
  BOOST_TEST((rooms[0].messages == rate_limit{.per_s = 10, .burst = 20}));
  BOOST_TEST((rooms[0].join == std::vector<std::string>{"anyone"}));
  BOOST_TEST((rooms[0].publish == std::vector<std::string>{"claims", "user:admin-*"}));
  BOOST_TEST(rooms[0].rights().join->anyone);
  BOOST_TEST(rooms[0].rights().publish->users.size() == 1u);
  BOOST_TEST((rooms[1].messages == rate_limit{.per_s = 7}));
  BOOST_TEST((!rooms[2].members_max && !rooms[2].presence && !rooms[2].messages && !rooms[2].join && !rooms[2].publish));
  BOOST_TEST(!rooms[2].rights().join.has_value());
  const auto said = [](const std::string& line) {
    std::vector<room_entry> none;
    const auto read = read_config("[[room]]\npattern = \"a*\"\n" + line, "f", &none);
    return read ? "nothing is wrong" : read.error();
  };
  BOOST_TEST(said("max_members = -1") != "nothing is wrong");
  BOOST_TEST(said("max_members = 1073741824") == "nothing is wrong");
  BOOST_TEST(said("max_members = 1073741825").starts_with("f:3: max_members: "));
  BOOST_TEST(said("presence = true").starts_with("f:3: presence: takes off|on, and a truth value is given"));
  BOOST_TEST(said("join = [\"anyone\", \"everyone\"]") == "f:3: join: 'everyone' is nobody; allowed: anyone, token, claims, user:PATTERN, nobody");
  BOOST_TEST(said("max_member = 1") == "f:3: max_member is not known, did you mean max_members?");
  BOOST_TEST(complaint("max_members = 1").starts_with("f:1: max_members is not known")); // of the whole server
}

BOOST_AUTO_TEST_CASE(what_is_wrong_with_a_table_of_rooms_has_its_line) {
  const auto said = [](std::string_view text) {
    std::vector<room_entry> rooms;
    const auto given = read_config(text, "f", &rooms);
    return given ? "nothing is wrong" : given.error();
  };
  const std::string first = "[[room]]\npattern = \"a*\"\n";
  BOOST_TEST(said(first) == "nothing is wrong");
  BOOST_TEST(said("shards = 1\n[[room]]\nhistory_messages = 1\n") == "f:2: [[room]] has no pattern");
  for (const std::string_view pattern : {"\"\"", "1", "[\"a\"]", "true"})
    BOOST_TEST(said("[[room]]\npattern = " + std::string{pattern}) == "f:2: pattern: takes the name of a room, in which * stands for anything");
  BOOST_TEST(said(first + first) == "f:4: pattern: 'a*' is given twice");
  BOOST_TEST(said(first + "history_mesages = 1") == "f:3: history_mesages is not known, did you mean history_messages?");
  BOOST_TEST(said(first + "patern = \"b\"") == "f:3: patern is not known, did you mean pattern?");
  BOOST_TEST(said(first + "shards = 1") == "f:3: shards is not known"); // an option, and not of rooms
  BOOST_TEST(said(first + "slow_consumer = \"maybe\"") ==
             "f:3: slow_consumer: 'maybe' is none of the words; allowed: close, drop-newest, drop-oldest, latest");
  BOOST_TEST(said(first + "max_message_bytes = 0").starts_with("f:3: max_message_bytes: '0' is too small; allowed: 1B to 1GiB"));
  BOOST_TEST(said(first + "history_seconds = true").starts_with("f:3: history_seconds: takes TIME, and a truth value is given"));
  BOOST_TEST(said(first + "\n" + first + "x = 1\nhistory_bytes = -1").starts_with("f:5: "));
  for (const std::string_view room : {"room = 1", "room = \"a\"", "room = [1]", "[room]\npattern = \"a\"", "room = []"})
    BOOST_TEST(said(room).starts_with("f:1: room: takes tables [[room]], and "), said(room));
  std::string many;
  for (int i = 0; i < 256; ++i) many += fmt::format("[[room]]\npattern = \"{}\"\n", i);
  BOOST_TEST(said(many) == "nothing is wrong");
  BOOST_TEST(said(many + first).ends_with("room: 257 tables [[room]] are more than 256"));
  // Where nobody takes them.
  BOOST_TEST(complaint(first) == "f:1: room is not known");
}

BOOST_AUTO_TEST_CASE(the_command_line_wins_over_the_environment_and_that_over_the_file) {
  auto given = *read_config("shards = 1\nmax_connections = 1\nspin_us = 1\n", "f");
  const char* const environment[] = {"RINGCAST_SHARDS=2", "RINGCAST_MAX_CONNECTIONS=2", nullptr};
  for (auto& each : read_environment(environment).options) given.push_back(std::move(each));
  for (auto& each : read_command_line(std::vector<std::string>{"--shards=3"})->options) given.push_back(std::move(each));
  const auto all = settings_of(given);
  BOOST_REQUIRE(all.has_value());
  BOOST_TEST(all->server.shards == 3u);
  BOOST_TEST(all->server.max_connections == 2u);
  BOOST_TEST(all->server.spin_us == 1u);
}

BOOST_AUTO_TEST_SUITE_END()
