// What the application is asked and told, as text: what of a request stands in a question, which answers can be read, how a webhook is signed.
#include "apps/ringcast-server/application_gate.hpp"
#include "apps/ringcast-server/doors.hpp"
#include "apps/ringcast-server/webhooks.hpp"
#include "tests/library/running.hpp"

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace ringcast;
using namespace std::chrono_literals;

namespace {

constexpr std::int64_t now_s = 1'700'000'000;

// The status, and of what is permitted the claims; "nothing" if it cannot be read.
std::string verdict(std::uint16_t status, std::string_view body) {
  const auto read = read_verdict({.status = status, .content_type = "application/json", .body = std::string{body}}, now_s);
  if (read == nullptr) return "nothing";
  std::string words = std::to_string(static_cast<int>(read->status));
  if (!read->is_permitted()) return words;
  words += " " + read->claims.user + " joins";
  for (const std::string& each : read->claims.rooms) words += " " + each;
  words += " publishes";
  for (const std::string& each : read->claims.publish) words += " " + each;
  return read->claims.expires_s ? words + " until " + std::to_string(*read->claims.expires_s - now_s) : words;
}

// The application: what it was sent, and what it answers, which may take a while.
struct application_world {
  using answers = std::function<task<http_answer>(int number, std::string body)>;
  std::mutex lock;
  std::vector<std::string> bodies;
  std::atomic<int> asked{0};
  running server;

  explicit application_world(const answers& answer)
      : server([this, answer](auto& s) {
          s.post("/", [this, answer](request& req) -> task<void> {
            const int number = ++asked;
            {
              const std::lock_guard held{lock};
              bodies.emplace_back(req.body_text());
            }
            const http_answer said = co_await answer(number, std::string{req.body_text()});
            req.respond(static_cast<http_status>(said.status), said.body, "application/json");
          });
        }) {}
  [[nodiscard]] std::string url() const { return "http://" + server.address() + "/"; }
};

constexpr std::string_view everything = R"({"user":"alice","rooms":["*"],"publish":["*"]})";

// A server whose one path is behind a gate, and the statuses of those who ask it, all at once.
struct gated_world {
  std::shared_ptr<application_gate> gate;
  running server;

  explicit gated_world(application_options options)
      : gate(*application_gate::open(options)), server([this](auto& s) {
          auto to = s.routes();
          to.add("GET", "/rooms/{room}", behind({.application = gate}, token_right::join, [](const http_request&, http_responder responder) {
                   responder.respond_json(http_status::ok, "{}");
                 }));
        }) {}

  std::vector<int> ask(const std::vector<std::string>& targets) {
    auto client = *http_client::to("http://" + server.address() + "/", {.connections = static_cast<std::uint32_t>(targets.size())});
    std::vector<std::promise<int>> told(targets.size());
    for (std::size_t i = 0; i < targets.size(); ++i)
      client.send({.method = "GET", .target = targets[i]}, [&to = told[i]](const http_result& came) { to.set_value(came ? came->status : 0); });
    std::vector<int> statuses;
    for (auto& each : told) statuses.push_back(each.get_future().get());
    return statuses;
  }
  int ask(const std::string& target) { return ask(std::vector{target}).front(); }
};

std::string key_file() {
  static const std::string path = [] {
    std::string made = std::filesystem::temp_directory_path() / ("ringcast-webhook-key-" + std::to_string(::getpid()));
    std::ofstream{made} << std::string(32, 'k') << "\n";
    return made;
  }();
  return path;
}

application_options told_at(const application_world& application, application_options options = {}) {
  options.webhook_url = application.url();
  options.webhook_key_file = key_file();
  return options;
}

bool happens(const std::function<bool()>& what) {
  for (int i = 0; i < 10'000 && !what(); ++i) std::this_thread::sleep_for(1ms);
  return what();
}

// The numbers of the events in a batch, and of what was dropped how many.
std::string numbers_in(const std::string& body) {
  std::string words;
  for (const auto& each : nlohmann::json::parse(body)) {
    const auto id = each["id"].get<std::string>();
    words += (words.empty() ? "" : " ") + id.substr(id.find('-') + 1);
    if (each["event"] == "events_dropped") words += ":" + std::to_string(each["count"].get<int>());
  }
  return words;
}

} // namespace

BOOST_AUTO_TEST_SUITE(the_application)

BOOST_AUTO_TEST_CASE(what_it_permits_has_the_form_of_claims_and_what_is_absent_is_not_permitted) {
  BOOST_TEST(verdict(200, R"({"user":"alice","rooms":["a","b*"],"publish":["a"],"expires":1700000060})") ==
             "200 alice joins a b* publishes a until 60");
  BOOST_TEST(verdict(200, "{}") == "200  joins publishes");
  BOOST_TEST(verdict(200, R"({"more":{"of":["whatever"]},"rooms":["a"]})") == "200  joins a publishes");
  BOOST_TEST(verdict(200, R"({"expires":1700000001})") == "200  joins publishes until 1");
  BOOST_TEST(verdict(200, R"({"expires":1700000000})") == "401");
}

BOOST_AUTO_TEST_CASE(two_statuses_refuse_and_every_other_one_is_no_answer) {
  BOOST_TEST(verdict(401, "whatever") == "401");
  BOOST_TEST(verdict(403, "") == "403");
  for (const int status : {201, 204, 301, 400, 404, 429, 500, 503})
    BOOST_TEST(verdict(static_cast<std::uint16_t>(status), "{}") == "nothing", status);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_read_is_no_answer) {
  for (const char* const body : {"", "null", "[]", "7", "{", "{}{}", R"({"user":null})", R"({"user":7})", R"({"user":"a","user":"b"})",
                                 R"({"rooms":"a"})", R"({"rooms":[["a"]]})", R"({"publish":{"a":1}})", R"({"expires":"1700000060"})",
                                 R"({"expires":-1})", R"({"expires":1e30})", "{\"user\":\"\x80\"}"})
    BOOST_TEST(verdict(200, body) == "nothing", body);
  BOOST_TEST(verdict(200, R"({"user":")" + std::string(64, 'x') + "\"}") == "200 " + std::string(64, 'x') + " joins publishes");
  BOOST_TEST(verdict(200, R"({"user":")" + std::string(65, 'x') + "\"}") == "nothing");
}

// By openssl: printf '1700000000.[]' | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
BOOST_AUTO_TEST_CASE(a_signature_is_of_the_time_and_the_body) {
  const std::string key = "0123456789abcdef0123456789abcdef";
  const std::string made = webhook_signature(key, "1700000000", "[]");
  BOOST_TEST(made == "v1=a882ad5d4a0af7e391dbf85eb299d664e73b21697106604b9ab90233cb381a3e");
  BOOST_TEST(webhook_signature(key, "1700000001", "[]") != made);
  BOOST_TEST(webhook_signature(key, "1700000000", "[ ]") != made);
}

BOOST_AUTO_TEST_CASE(the_same_question_is_asked_once_at_a_time_and_its_answer_is_kept) {
  application_world application{[](int, std::string) -> task<http_answer> {
    co_await sleep_for(50ms);
    co_return http_answer{.status = 200, .body = std::string{everything}};
  }};
  gated_world world{{.authorize_url = application.url()}};
  BOOST_TEST((world.ask(std::vector<std::string>(20, "/rooms/a?token=x")) == std::vector<int>(20, 200)));
  BOOST_TEST(application.asked == 1);
  BOOST_TEST(world.ask("/rooms/a?token=x&more=1") == 200);
  BOOST_TEST(application.asked == 1);
  BOOST_TEST(world.gate->from_cache() == 1u);
  BOOST_TEST(world.ask("/rooms/b?token=x") == 200);
  BOOST_TEST(world.ask("/rooms/a?token=y") == 200);
  BOOST_TEST(application.asked == 3);
  world.gate->forget();
  BOOST_TEST(world.ask("/rooms/a?token=x") == 200);
  BOOST_TEST(application.asked == 4);
}

BOOST_AUTO_TEST_CASE(what_is_kept_is_bounded_and_no_answer_is_not_kept) {
  std::atomic<int> status = 500;
  application_world application{[&](int, std::string) -> task<http_answer> {
    co_return http_answer{.status = static_cast<std::uint16_t>(status.load()), .body = std::string{everything}};
  }};
  gated_world world{{.authorize_url = application.url(), .authorize_cache_entries = 4}};
  for (int i = 0; i < 2; ++i) BOOST_TEST(world.ask("/rooms/a?token=0") == 503);
  BOOST_TEST(application.asked == 2);
  status = 200;
  for (int i = 0; i < 6; ++i) BOOST_TEST(world.ask("/rooms/a?token=" + std::to_string(i)) == 200);
  BOOST_TEST(application.asked == 8);
  BOOST_TEST(world.ask("/rooms/a?token=5") == 200);
  BOOST_TEST(application.asked == 8);
  BOOST_TEST(world.ask("/rooms/a?token=0") == 200); // forgotten
  BOOST_TEST(application.asked == 9);
}

BOOST_AUTO_TEST_CASE(a_batch_that_is_not_taken_is_sent_again_in_front_of_what_came_later) {
  application_world application{[](int number, std::string) -> task<http_answer> {
    co_return http_answer{.status = static_cast<std::uint16_t>(number == 1 ? 500 : number == 2 ? 302 : 200)};
  }};
  {
    auto opened = webhooks::open(told_at(application, {.webhook_batch = 2, .webhook_delay_ms = 10'000}));
    BOOST_REQUIRE(opened.has_value());
    webhooks& hooks = **opened;
    for (int i = 0; i < 4; ++i) hooks.add("e", ",\"n\":1");
    BOOST_TEST(happens([&] { return hooks.numbers().delivered == 4; }));
    BOOST_TEST(hooks.numbers().failures == 2u);
    hooks.add("e", ""); // is not due before the end
  }
  std::vector<std::string> numbers;
  for (const std::string& each : application.bodies) numbers.push_back(numbers_in(each));
  BOOST_TEST((numbers == std::vector<std::string>{"1 2", "1 2", "1 2", "3 4", "5"}));
}

BOOST_AUTO_TEST_CASE(what_has_no_room_is_dropped_counted_and_told_in_its_place) {
  std::atomic<bool> is_up = false;
  application_world application{
      [&](int, std::string) -> task<http_answer> { co_return http_answer{.status = static_cast<std::uint16_t>(is_up ? 200 : 500)}; }};
  auto opened = webhooks::open(told_at(application, {.webhook_batch = 10, .webhook_delay_ms = 0, .webhook_queue = 5}));
  BOOST_REQUIRE(opened.has_value());
  webhooks& hooks = **opened;
  hooks.add("e", "");
  BOOST_TEST(happens([&] { return hooks.numbers().failures > 0; }));
  for (int i = 0; i < 7; ++i) hooks.add("e", ""); // of which four fit
  BOOST_TEST(hooks.numbers().dropped == 3u);
  BOOST_TEST(hooks.numbers().queued == 4u);
  is_up = true;
  BOOST_TEST(happens([&] { return hooks.numbers().delivered == 6; }));
  const std::lock_guard held{application.lock};
  BOOST_TEST(numbers_in(application.bodies.at(application.bodies.size() - 2)) == "2 3 4 5");
  BOOST_TEST(numbers_in(application.bodies.back()) == "9:3");
}

BOOST_AUTO_TEST_CASE(an_end_does_not_wait_longer_than_it_may) {
  application_world application{[](int, std::string) -> task<http_answer> {
    co_await sleep_for(1h);
    co_return http_answer{.status = 200};
  }};
  std::future<void> ended;
  {
    auto opened = webhooks::open(told_at(application, {.webhook_delay_ms = 0, .webhook_timeout_ms = 60'000, .webhook_end_ms = 50}));
    BOOST_REQUIRE(opened.has_value());
    (*opened)->add("e", "");
    BOOST_TEST(happens([&] { return application.asked == 1; }));
    ended = std::async(std::launch::async, [hooks = std::move(*opened)]() mutable { hooks.reset(); });
    BOOST_TEST((ended.wait_for(20s) == std::future_status::ready));
  }
}

BOOST_AUTO_TEST_SUITE_END()
