#include "tests/sim/rigs/client_rig.hpp"

#include <algorithm>
#include <set>

namespace ringcast::sim {

using namespace engine;

client_rig::client_rig(std::uint64_t seed, const fault_plan& faults, const machine& host) : world(std::make_unique<kernel>(seed, faults, host)) {
  world->close_in_flight_is_misuse = true;
  world->names["server.sim"] = {"10.0.0.1"};
  listens = world->listen(port);
  clients = std::make_unique<client_world>(*world);
  journal = std::make_unique<client_journal>(*world, options().reconnect);
  c = make(options());
}

client_options client_rig::options() {
  using namespace std::chrono_literals;
  return {.reconnect = {.initial_delay = 100ms, .max_delay = 800ms},
          .connect_timeout = 2s,
          .ping_interval = 3s,
          .pong_timeout = 1s,
          .frame_timeout = 2s,
          .close_timeout = 1s};
}

std::unique_ptr<client> client_rig::make(const client_options& with, const std::string& url) {
  journal = std::make_unique<client_journal>(*world, with.reconnect);
  auto made = std::make_unique<hosted_client>(url, with, clients->host());
  journal->attach(*made);
  return made;
}

void client_rig::step() {
  ++steps;
  clients->turn();
  while (listens != nullptr) {
    auto accepted = kernel::accept(*listens);
    if (!accepted) break;
    servers.emplace_back(*world, std::move(*accepted), cut_of(servers.size()));
    servers.back().greeting = greeting;
  }
  for (server_peer& s : servers) s.act();
  script();
  world->advance_by(world->chance.below(20'000));
  if (std::ranges::none_of(servers, [](const server_peer& s) { return s.can_act(); })) (void)world->sleep();
}

bool client_rig::run_until(const std::function<bool()>& done, std::string_view what) {
  for (int i = 0; i < 20'000; ++i) {
    if (done()) return true;
    step();
  }
  failures.push_back(fmt::format("it never happens: {} (events: {})", what, journal->story()));
  return false;
}

void client_rig::run_for(std::uint64_t ms) {
  const std::uint64_t end_ns = world->now_ns() + ms * 1'000'000;
  world->schedule(ms * 1'000'000, [] {});
  (void)run_until([&] { return world->now_ns() >= end_ns; }, "time passes");
}

send_status client_rig::say(std::size_t bytes) {
  const std::string payload = make_payload({1, ++said_count}, bytes);
  const send_status result = said_count % 2 == 0 ? c->send_text(payload) : c->send_binary(std::as_bytes(std::span{payload}));
  if (result == send_status::queued) ++queued;
  if (result == send_status::dropped) ++dropped;
  return result;
}

void client_rig::start() {
  journal->will_connect();
  c->start();
}

void client_rig::disconnect(std::uint16_t code) {
  journal->will_disconnect();
  (void)c->disconnect(code, "bye");
}

void client_rig::stop() {
  journal->has_stopped();
  c->stop();
}

std::string client_rig::account() const {
  const client_counts counts = c->counts();
  if (counts.queued_bytes != 0) return fmt::format("{} bytes are still queued", counts.queued_bytes);
  if (counts.sent + counts.lost + counts.dropped == queued + dropped) return {};
  return fmt::format("{} messages were queued and {} refused as dropped, and the client counts {} sent, {} lost and {} dropped", queued, dropped,
                     counts.sent, counts.lost, counts.dropped);
}

void client_rig::judge_messages() {
  std::uint32_t last = 0;
  std::set<said> reached;
  for (const server_peer& s : servers) {
    if (!s.complaint.empty()) failures.push_back("the server complains: " + s.complaint);
    for (const said what : s.heard) {
      if (what.number <= last) failures.push_back(fmt::format("message {} reached a server behind message {}", what.number, last));
      last = what.number;
      reached.insert(what);
    }
  }
  last = 0;
  for (const said what : journal->heard) {
    if (what.number <= last) failures.push_back(fmt::format("the echo of {} came behind that of {}", what.number, last));
    if (!reached.contains(what)) failures.push_back(fmt::format("the echo of {}, which no server has heard", what.number));
    last = what.number;
  }
  if (reached.size() > c->counts().sent) failures.push_back("more messages reached servers than were sent");
}

std::vector<std::string> client_rig::end() {
  script = [] {};
  if (c != nullptr) {
    stop();
    (void)run_until([&] { return clients->at().connection_count() == 0; }, "the last connection of a stopped client is gone");
    if (!clients->has_stopped()) {
      run_for(1);
      for (const std::string& what : clients->remains()) failures.push_back("the client was stopped, but " + what);
    }
  }
  clients->begin_stop();
  (void)run_until([&] { return clients->has_stopped(); }, "the loop stops");
  for (const std::string& f : journal->failures) failures.push_back(f);
  c.reset();
  clients.reset();
  servers.clear();
  listens.reset();
  for (const std::string& leak : world->leaks()) failures.push_back("at the end " + leak);
  return failures;
}

} // namespace ringcast::sim
