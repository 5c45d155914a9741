// Redis or Valkey behind the seam. Each shard has two connections: one for commands, sent once a turn, and one for subscriptions. Of a room there are
// three names, all with {ROOM} in them, so that they are of one slot where there are several:
//
//   PREFIX:{ROOM}:m  hash    where it stands: seq, epoch, base, and the replication id of the server that has begun the epoch
//   PREFIX:{ROOM}:s  stream  its last messages: an entry for each batch, with the number of its last message as id, n messages, b the batch
//   PREFIX:{ROOM}    channel "EPOCH:FIRST:COUNT\n" and the batch
//
// One script does everything, and looks at the replication id each time: it is another one when a replica was promoted or the server came back, and
// then whatever was said last may be missing, so another epoch begins. The engine is up as long as both connections are.
#pragma once

#include "engine/cluster/cluster_engine.hpp"
#include "engine/cluster/redis_address.hpp"
#include "engine/cluster/redis_link.hpp"
#include <ringcast/cluster.hpp>

#include <cstdint>
#include <deque>
#include <expected>
#include <string>
#include <string_view>

namespace ringcast::engine {

struct redis_options {
  redis_address to;
  std::string prefix;
  std::uint64_t messages_kept = 0; // of each room; the stream is cut in pieces, so some more stay
  std::uint64_t kept_for_ms = 0; // a room that nobody has asked about for so long is forgotten
};

// The error is one sentence.
[[nodiscard]] std::expected<redis_options, std::string> redis_options_of(const cluster_options& said);

class redis_engine final : public cluster_engine {
 public:
  redis_engine(ring& io, const redis_options& options);

  [[nodiscard]] bool is_up() const override { return up_; }
  void subscribe(std::string_view room) override;
  void unsubscribe(std::string_view room) override;
  void ask_top(std::string_view room) override;
  void read(std::string_view room, std::uint64_t from) override;
  void publish(std::string_view room, std::uint64_t id, std::uint32_t messages, std::span<const std::byte> batch) override;
  void poll() override;
  void send() override;
  [[nodiscard]] bool has_work() const override { return down_untold_; }
  void on_tick(std::uint64_t now_ms) override;
  void on_completion(const completion& done) override;
  [[nodiscard]] bool end() override;

  // A connection that answers nothing for so long is given up: asked after half of it.
  static constexpr std::uint64_t silence_ms_max = 2'000;
  static constexpr std::uint64_t delay_ms_min = 100, delay_ms_max = 3'000; // between attempts, half of it random
  static constexpr std::uint32_t batches_at_once = 16;

 private:
  enum class what : std::uint8_t { greeting, load, role, ping, top, read, publish, subscribe, unsubscribe };
  struct asked {
    what question;
    std::string room{};
    std::uint64_t id = 0; // of a batch; of a range where it begins
    std::string command{}; // what is to be said again, where the server has forgotten the script
  };
  struct side {
    redis_link link;
    std::deque<asked> asked_;
    bool greeted = false;
    bool pinged = false;
  };

  void ask_script(what question, std::string_view room, std::uint64_t id, std::string_view kind, std::initializer_list<std::string_view> more);
  void put(asked&& question);
  void say_again();
  void greet(side& s);
  void look_at(side& s, std::uint64_t now_ms);
  void on_command_reply(const resp_value& reply);
  void on_subscription_reply(const resp_value& reply);
  void on_answer(const asked& question, const resp_value& reply);
  void on_error(const asked& question, std::string_view why);
  void on_message(std::string_view channel, std::string_view text);
  void close_both(std::string_view why);
  void note_why(const std::string& why);
  [[nodiscard]] std::string key_of(std::string_view room, std::string_view suffix) const;
  [[nodiscard]] std::string_view room_of(std::string_view channel) const;

  const redis_options options_;
  side commands_, subscriptions_;
  std::string script_name_; // as the server has called it: its SHA-1
  std::deque<asked> again_; // behind the questions that are on their way
  std::deque<asked> meanwhile_; // asked since the first of them, and to be said behind all of them
  bool forgotten_ = false; // the server has no script any more
  bool up_ = false, down_untold_ = false;
  bool attempting_ = false; // to make both connections
  std::string why_down_;
  std::string why_said_; // in the log
  std::uint64_t next_attempt_ms_ = 0;
  std::uint32_t attempts_ = 0;
  std::uint64_t now_ms_ = 0;
};

} // namespace ringcast::engine
