// What a seat promises: who has it hears whatever anybody publishes, is told exactly what a slow-consumer policy took, and names are names.
#include "engine/base/limits.hpp"
#include "engine/connection/handle_access.hpp"
#include "engine/room/room.hpp"
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"
#include "tests/support/sanitizer.hpp"
#include <ringcast/names.hpp>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

using namespace ringcast;
using namespace ringcast::engine;
using namespace std::chrono_literals;

namespace {

// A thread of the program that publishes "hello" to each room that it is told of, at once.
class publisher {
 public:
  explicit publisher(server& of)
      : thread_([this, &of] {
          for (;;) {
            std::unique_lock lock{mutex_};
            told_.wait(lock, [this] { return over_ || !rooms_.empty(); });
            if (rooms_.empty()) return;
            const std::string name = std::move(rooms_.front());
            rooms_.pop_front();
            lock.unlock();
            while (of.room(name).broadcast("hello") == send_status::dropped) std::this_thread::yield();
          }
        }) {}
  ~publisher() {
    {
      const std::lock_guard lock{mutex_};
      over_ = true;
    }
    told_.notify_one();
    thread_.join();
  }
  void publish_to(std::string name) {
    {
      const std::lock_guard lock{mutex_};
      rooms_.push_back(std::move(name));
    }
    told_.notify_one();
  }

 private:
  std::mutex mutex_;
  std::condition_variable told_;
  std::deque<std::string> rooms_;
  bool over_ = false;
  std::thread thread_;
};

// Two publishers, so that one is awake when the other is not.
class publishers {
 public:
  void start(server& of) {
    const std::lock_guard lock{mutex_};
    for (int i = 0; i < 2; ++i) all_.push_back(std::make_unique<publisher>(of));
  }
  void publish_to(std::string name) {
    const std::lock_guard lock{mutex_};
    all_[next_++ % all_.size()]->publish_to(std::move(name));
  }
  // Nobody asks for anything any more.
  void end() {
    const std::lock_guard lock{mutex_};
    all_.clear();
  }

 private:
  std::mutex mutex_; // the handlers of all shards ask
  std::vector<std::unique_ptr<publisher>> all_;
  std::size_t next_ = 0;
};

std::vector<std::unique_ptr<wire_client>> clients_of(const running& server, std::size_t count, const std::string& target) {
  std::vector<std::unique_ptr<wire_client>> all;
  for (std::size_t i = 0; i < count; ++i) {
    all.push_back(std::make_unique<wire_client>(server.address()));
    (void)all.back()->upgrade(target + std::to_string(i));
  }
  return all;
}

} // namespace

BOOST_AUTO_TEST_SUITE(seats)

// A join is some hundred times slower under a sanitizer.
constexpr int joins = is_sanitized ? 5'000 : 100'000;

BOOST_AUTO_TEST_CASE(whatever_is_published_when_join_has_been_awaited_is_heard_in_100000_joins_over_two_shards) {
  publishers others;
  running server{[&](auto& s) {
    s.get("/{id}", [&others](request& req) -> task<void> {
      const std::string id{req.path("id")};
      websocket ws = co_await req.upgrade();
      // Each join is to a room that nobody was in, so that its home has to hear of it; half of them have a name.
      for (int round = 0; auto message = co_await ws.receive(); ++round) {
        const std::string name = id + "-" + std::to_string(round);
        seat here = co_await req.server().room(name).join(round % 2 == 0 ? "" : id, ws);
        if (!here) co_return;
        others.publish_to(name);
        // It stays until its client has heard.
        if (!co_await ws.receive()) co_return;
      }
    });
  }};
  others.start(server.s);
  constexpr std::size_t clients = 50;
  auto all = clients_of(server, clients, "/");
  for (int round = 0; round < joins / static_cast<int>(clients); ++round) {
    for (auto& client : all) client->send(opcode::text, "join");
    for (auto& client : all)
      BOOST_REQUIRE_MESSAGE(client->text() == "hello", "round " << round << ": a member did not hear what was published behind its join");
    for (auto& client : all) client->send(opcode::text, "heard");
  }
  all.clear();
  others.end();
}

BOOST_AUTO_TEST_CASE(whatever_is_published_when_on_open_is_called_is_heard) {
  publishers others;
  running server{[&](auto& s) {
    s.events("/{room}", {.on_upgrade =
                             [](upgrade_request_view& upgrade) {
                               const std::string_view room = upgrade.request().parameter("room");
                               upgrade.take_seat(room, hearing::everyone, room.size() % 2 == 0 ? room : std::string_view{});
                             },
                         .on_open = [&others](websocket_ref ws) { others.publish_to(handle_access::connection_of(ws).memberships->where->name); }});
  }};
  others.start(server.s);
  for (int round = 0; round < 60; ++round) {
    auto all = clients_of(server, 20, "/" + std::to_string(round) + "-");
    for (auto& client : all) BOOST_REQUIRE(client->text() == "hello");
  }
  others.end();
}

BOOST_AUTO_TEST_CASE(a_coroutine_is_told_exactly_which_messages_its_policy_took) {
  for (const slow_consumer policy : {slow_consumer::drop_oldest, slow_consumer::drop_newest, slow_consumer::latest})
    for (const bool with_frames : {true, false}) {
      constexpr std::uint64_t messages = 5000;
      std::mutex mutex;
      std::vector<message_gap> told;
      std::atomic<bool> seated{false}, over{false};
      running server{[&](auto& s) {
                       s.get("/", [&](request& req) -> task<void> {
                         websocket ws = co_await req.upgrade();
                         seat here = co_await req.server().room("all").join({}, ws);
                         seated = true;
                         for (;;) {
                           if (with_frames) {
                             auto frame = co_await ws.receive_frame();
                             if (!frame) break;
                             if (const std::lock_guard lock{mutex}; frame->gap) told.push_back(*frame->gap);
                           } else {
                             const auto message = co_await ws.receive();
                             const std::lock_guard lock{mutex};
                             while (const auto gap = ws.next_gap()) told.push_back(*gap);
                             if (!message) break;
                           }
                         }
                         over = true;
                       });
                     },
                     {.limits = {.send_queue_bytes_max = 64 * 1024}, .policy = policy}};
      wire_client slow{server.address()};
      (void)slow.upgrade("/");
      while (!seated) std::this_thread::yield();
      // The room numbers its messages from 1, and so do we.
      const std::string filling(4000, 'x');
      std::set<std::uint64_t> heard;
      room all = server.s.room("all");
      const auto publish = [&](std::uint64_t number) {
        while (all.broadcast(std::to_string(number) + ' ' + filling) == send_status::dropped) std::this_thread::yield();
      };
      for (std::uint64_t i = 1; i <= messages; ++i) publish(i);
      BOOST_TEST(all.count_future().get() == 1u); // all of them have reached the room
      std::uint64_t number = 0;
      const auto read_until_silence = [&] {
        for (;;) {
          const auto frame = slow.receive(300);
          if (!frame) return;
          BOOST_REQUIRE((frame->op == opcode::text));
          number = std::stoull(frame->payload);
          BOOST_TEST(heard.insert(number).second);
        }
      };
      read_until_silence();
      // A gap is told when the member goes on behind it.
      publish(messages + 1);
      read_until_silence();
      BOOST_TEST(number == messages + 1);
      slow.close(1000);
      while (!over) std::this_thread::sleep_for(1ms);
      std::set<std::uint64_t> lost;
      for (const message_gap& gap : told)
        for (std::uint64_t i = gap.first; i <= gap.last; ++i) BOOST_TEST(lost.insert(i).second);
      BOOST_TEST(lost.size() > 100u);
      BOOST_TEST(lost.size() + heard.size() == messages + 1);
      for (std::uint64_t i = 1; i <= messages + 1; ++i) BOOST_TEST(lost.contains(i) != heard.contains(i));
    }
}

BOOST_AUTO_TEST_CASE(a_name_that_cannot_be_one_is_an_error_at_every_entry_and_is_never_cut) {
  const std::string longest_room(room_name_bytes_max, 'r'), longest_member(member_name_bytes_max, 'm');
  const std::vector<std::string> bad_rooms{"", longest_room + "r", "a\nb", "\xff"}, bad_members{longest_member + "m", "a\nb", "\xff"};
  BOOST_TEST(check_room_name(longest_room).has_value());
  BOOST_TEST(check_member_name(longest_member).has_value());
  BOOST_TEST(!check_member_name("").has_value());
  running server{[&](auto& s) {
    s.get("/join", [](request& req) -> task<void> {
      const std::string room_name = req.query("room"), name = req.query("name");
      websocket ws = co_await req.upgrade();
      room where = req.server().room(room_name);
      seat here = co_await where.join(name, ws);
      co_await ws.send_text(here ? "seated" : here.why_not());
      const auto report = co_await where.broadcast_reported(opcode::text, std::as_bytes(std::span{std::string_view{"to all"}}));
      co_await ws.send_text(std::to_string(report.members) + " of " + std::to_string(co_await where.count()));
      (void)co_await ws.receive();
    });
    s.events("/seat", {.on_upgrade = [](upgrade_request_view& upgrade) {
               upgrade.take_seat(upgrade.request().query("room").value_or(""), hearing::everyone, upgrade.request().query("name").value_or(""));
             }});
  }};
  const auto in_url = [](const std::string& text) {
    std::string out;
    for (const unsigned char c : text) {
      char escaped[4];
      std::snprintf(escaped, sizeof escaped, "%%%02X", c);
      out += escaped;
    }
    return out;
  };
  const auto joined = [&](const std::string& room_name, const std::string& name) {
    wire_client client{server.address()};
    (void)client.upgrade("/join?room=" + in_url(room_name) + "&name=" + in_url(name));
    std::string said = client.text();
    if (said == "seated") BOOST_TEST(client.text() == "to all");
    BOOST_TEST(client.text() == (said == "seated" ? "1 of 1" : "0 of 0"));
    return said;
  };
  for (const std::string& name : bad_rooms) {
    room where = server.s.room(name);
    BOOST_TEST(!where.valid().has_value());
    BOOST_TEST(where.name() == name); // not cut
    BOOST_TEST((where.broadcast("text") == send_status::invalid_name));
    BOOST_TEST((where.send_to("member", "text") == send_status::invalid_name));
    BOOST_TEST((where.leave("member") == send_status::invalid_name));
    BOOST_TEST(where.count_future().get() == 0u);
    BOOST_TEST(where.broadcast_future(opcode::text, {}).get().members == 0u);
    BOOST_TEST(joined(name, "a") == where.valid().error());
    wire_client client{server.address()};
    BOOST_TEST(client.upgrade("/seat?room=" + in_url(name)).starts_with("HTTP/1.1 400"));
  }
  for (const std::string& name : bad_members) {
    room where = server.s.room("room");
    BOOST_TEST((where.send_to(name, "text") == send_status::invalid_name));
    BOOST_TEST((where.leave(name) == send_status::invalid_name));
    BOOST_TEST(joined("room", name) == check_member_name(name).error());
    wire_client client{server.address()};
    BOOST_TEST(client.upgrade("/seat?room=room&name=" + in_url(name)).starts_with("HTTP/1.1 400"));
  }
  BOOST_TEST((server.s.room("room").send_to("", "text") == send_status::invalid_name));
  BOOST_TEST(joined(longest_room, longest_member) == "seated");
  // Another one as long: the first is free again only when the server has seen that its owner has gone.
  const std::string other_member(longest_member.size(), 'z');
  wire_client client{server.address()};
  BOOST_TEST(client.upgrade("/seat?room=" + longest_room + "&name=" + other_member).starts_with("HTTP/1.1 101"));
}

BOOST_AUTO_TEST_SUITE_END()
