// One client of the library and a scripted server on a simulated network, driven step by step until nothing is left to
// do.
#pragma once

#include "tests/sim/checkers/client_journal.hpp"
#include "tests/sim/rigs/client_world.hpp"
#include "tests/sim/rigs/server_peer.hpp"
#include <ringcast/client.hpp>

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ringcast::sim {

using namespace engine;

class client_rig {
 public:
  static constexpr std::uint16_t port = 9000;

  explicit client_rig(std::uint64_t seed, const fault_plan& faults = {}, const machine& host = {});
  // Everything is stopped and destroyed; what is left over then is a failure. For the end of a test.
  std::vector<std::string> end();

  // One turn of everything; time passes when nobody can do anything. The script is asked after each.
  void step();
  // Steps until this is true; a failure after too many of them.
  bool run_until(const std::function<bool()>& done, std::string_view what);
  void run_for(std::uint64_t ms);

  // A message of this client with the next number; notes what became of it.
  send_status say(std::size_t bytes);
  void start();
  void disconnect(std::uint16_t code = 1000);
  void stop();
  // The user was told, and nothing that would change it waits in the queue.
  bool is_closed() const { return journal->is_closed() && c->state() == client_state::closed; }
  // Whether every message that was offered is accounted for, as a sentence if not.
  std::string account() const;
  // The server heard every message at most once and in order; the client heard what the server echoed, in order.
  void judge_messages();

  static client_options options();
  std::unique_ptr<client> make(const client_options& with, const std::string& url = "ws://server.sim:9000/chat");

  std::unique_ptr<kernel> world;
  std::shared_ptr<listener> listens; // null: the port is refused
  std::unique_ptr<client_world> clients;
  std::unique_ptr<client_journal> journal;
  std::unique_ptr<client> c;
  std::list<server_peer> servers; // in the order in which they were accepted
  std::function<server_cut(std::size_t)> cut_of = [](std::size_t) { return server_cut{}; }; // by number of the connection
  std::function<std::vector<std::string>(std::string_view target)> greeting; // of every server
  std::function<void()> script = [] {};
  std::vector<std::string> failures;
  std::uint32_t said_count = 0, queued = 0, dropped = 0;
  std::size_t steps = 0;
};

} // namespace ringcast::sim
