#include "engine/shard/connection_questions.hpp"

#include "engine/connection/connection_layers.hpp"
#include "engine/io/socket.hpp"
#include "engine/io/tcp_figures.hpp"
#include "engine/shard/peer_book.hpp"
#include "engine/shard/server_questions.hpp"
#include "engine/shard/shard.hpp"

#include <algorithm>
#include <new>
#include <utility>

namespace ringcast::engine {

namespace {

bool is_in_front(const connection_place& a, const connection_place& b) { return a.key != b.key ? a.key > b.key : a.id.value < b.id.value; }

constexpr auto by_place = [](const auto& a, const auto& b) { return is_in_front(a.place, b.place); };

connection_kind kind_of(const connection& c) {
  if (c.phase == connection_phase::http) return connection_kind::http;
  if (c.phase != connection_phase::websocket) return connection_kind::ending;
  return c.event_stream ? connection_kind::event_stream : connection_kind::websocket;
}

} // namespace

// --- asked here ---

void connection_questions::ask(connection_query query, std::function<void(const connection_page&)> on_answer, const std::source_location& where) {
  query.limit = std::clamp(query.limit, 1u, connection_page_max);
  const std::uint32_t id = ++next_id_;
  const auto shared = std::make_shared<const connection_query>(std::move(query));
  questions_.try_emplace(id, std::move(on_answer), with_.users.running(), where, shared, findings{}, with_.shard_count);
  for (std::uint32_t to = 0; to < with_.shard_count; ++to)
    run_on(with_.courier, to,
           [id, shared, reporter = with_.own](shard& there) { there.connection_list().begin({.reporter = reporter, .id = id, .query = shared}); });
}

void connection_questions::on_found(std::uint32_t id, findings& found) {
  const auto asked_here = questions_.find(id);
  if (asked_here == questions_.end()) return;
  question& asked = asked_here->second;
  const std::size_t limit = asked.query->limit;
  findings& sum = asked.sum;
  sum.total += found.total;
  sum.behind_place += found.behind_place;
  std::ranges::move(found.first, std::back_inserter(sum.first));
  std::ranges::sort(sum.first, by_place);
  if (sum.first.size() > limit) sum.first.erase(sum.first.begin() + static_cast<std::ptrdiff_t>(limit), sum.first.end());
  if (--asked.left > 0) return;

  auto page = std::make_shared<connection_page>();
  page->total = sum.total;
  if (sum.behind_place > sum.first.size()) page->next = sum.first.back().place;
  for (found_connection& each : sum.first)
    if (each.summary != nullptr) page->connections.push_back(std::move(*each.summary));
  auto finished = questions_.extract(asked_here);
  with_.users.note_answer([answer = std::move(finished.mapped().answer), page] { answer(*page); }, finished.mapped().by, finished.mapped().where);
}

// --- on every shard ---

void connection_questions::begin(walk asked) { walks_.push_back(std::move(asked)); }

void connection_questions::go_on() {
  if (walks_.empty()) return;
  walk& w = walks_.front();
  try {
    if (!w.chosen)
      look_at_some(w);
    else
      describe_some(w);
  } catch (const std::bad_alloc&) {
    // Whoever asked is told of nobody here.
    w.found = {};
    w.chosen = true;
    w.described = 0;
  }
  if (!w.chosen || w.described < w.found.first.size()) return;
  walk done = std::move(w);
  walks_.pop_front();
  report(std::move(done));
}

void connection_questions::look_at_some(walk& w) {
  const std::uint32_t end = std::min(with_.connections.slots(), w.slot + connections_per_turn_max);
  looked_at_ += end - w.slot;
  for (; w.slot < end; ++w.slot) look_at(w, with_.connections.at(w.slot));
  if (w.slot < with_.connections.slots()) return;
  w.chosen = true;
  std::ranges::sort_heap(w.found.first, by_place); // so far the last of them stood in front
}

void connection_questions::look_at(walk& w, const connection& c) {
  const connection_query& query = *w.query;
  if (!matches(query, c)) return;
  ++w.found.total;
  const connection_place place{key_of(query.order, c), with_.connections.handle_of(c)};
  if (query.after && !is_in_front(*query.after, place)) return;
  ++w.found.behind_place;
  auto& first = w.found.first;
  if (first.size() == query.limit) {
    if (!is_in_front(place, first.front().place)) return;
    std::ranges::pop_heap(first, by_place);
    first.pop_back();
  }
  first.push_back({place, nullptr});
  std::ranges::push_heap(first, by_place);
}

void connection_questions::describe_some(walk& w) {
  const std::size_t end = std::min(w.found.first.size(), w.described + descriptions_per_turn_max);
  described_ += end - w.described;
  for (; w.described < end; ++w.described) {
    found_connection& each = w.found.first[w.described];
    if (const connection* const c = with_.connections.find(each.place.id)) each.summary = describe(*c);
  }
}

void connection_questions::report(walk done) {
  const auto found = std::make_shared<findings>(std::move(done.found));
  run_on(with_.courier, done.reporter, [id = done.id, found](shard& here) { here.connection_list().on_found(id, *found); });
}

// --- one connection ---

bool connection_questions::matches(const connection_query& query, const connection& c) {
  if (c.phase == connection_phase::free || c.is_client) return false;
  if (query.room.empty()) return true;
  for (const membership* seat = c.memberships; seat != nullptr; seat = seat->next)
    if (seat->where->name == query.room) return true;
  return false;
}

std::uint64_t connection_questions::key_of(connection_order order, const connection& c) const {
  switch (order) {
  case connection_order::behind: return with_.output.all_waiting(c).bytes;
  case connection_order::age: return UINT32_MAX - with_.connections.times_of(c).opened_s;
  case connection_order::messages_in: return with_.connections.known_traffic_of(c).messages_in;
  case connection_order::messages_out: return messages_out(c);
  }
  return 0;
}

std::uint64_t connection_questions::messages_out(const connection& c) const {
  std::uint64_t sum = with_.connections.known_traffic_of(c).messages_out;
  for (const membership* seat = c.memberships; seat != nullptr; seat = seat->next) sum += progress_of(*seat).messages_sent;
  return sum;
}

std::unique_ptr<connection_summary> connection_questions::describe(const connection& c) const {
  auto told = std::make_unique<connection_summary>();
  told->id = with_.connections.handle_of(c);
  told->kind = kind_of(c);
  told->address = with_.peers.peer_of(c).text();
  for (const membership* seat = c.memberships; seat != nullptr; seat = seat->next) {
    if (++told->room_count <= connection_summary::rooms_max) told->rooms.push_back(seat->where->name);
    if (seat->details == nullptr) continue;
    if (told->name.empty()) told->name = seat->details->name;
    if (told->user.empty()) told->user = seat->details->user;
  }
  const connection_times& times = with_.connections.times_of(c);
  told->age_s = with_.clock.seconds() - times.opened_s;
  if (times.pong_s != 0) told->pong_age_s = with_.clock.seconds() - times.pong_s;
  const outbox::waiting waiting = with_.output.all_waiting(c);
  told->bytes_behind = waiting.bytes;
  told->messages_behind = waiting.messages;
  told->messages_in = with_.connections.known_traffic_of(c).messages_in;
  told->messages_out = messages_out(c);
  if (const auto tcp = tcp_figures_of(c.socket)) {
    told->bytes_in = tcp->bytes_received;
    told->bytes_out = tcp->bytes_acknowledged;
    told->bytes_unacknowledged = unsent_bytes(c.socket);
    told->round_trip_us = tcp->round_trip_us;
  }
  if (const auto tls = tls_details_of(c)) told->tls_version = tls->version;
  told->compressed = c.deflate_bits != 0;
  told->compression_context = c.layers != nullptr && (c.layers->deflates != nullptr || c.layers->inflates != nullptr);
  return told;
}

} // namespace ringcast::engine
