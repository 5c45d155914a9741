#include <ringcast/room.hpp>

#include "engine/connection/handle_access.hpp"
#include "engine/mesh/inbox.hpp"
#include "engine/server/answers.hpp"
#include "engine/server/websocket_session.hpp"
#include "engine/shard/shard.hpp"
#include <ringcast/server.hpp>

#include <memory>
#include <optional>
#include <stdexcept>
#include <vector>

namespace ringcast {

using namespace engine;

// --- seats ---

seat& seat::operator=(seat&& other) noexcept {
  if (this != &other) {
    leave();
    owner_ = std::exchange(other.owner_, nullptr);
    who_ = other.who_;
    room_ = other.room_;
    room_generation_ = other.room_generation_;
    why_not_ = other.why_not_;
    joined_ = other.joined_;
  }
  return *this;
}

void seat::leave() noexcept {
  if (shard* owner = std::exchange(owner_, nullptr)) owner->leave_room(who_, {room_, room_generation_});
}

send_status seat::broadcast(opcode op, std::span<const std::byte> payload) {
  connection* c = owner_ == nullptr ? nullptr : owner_->find(who_);
  room_part* r = owner_ == nullptr ? nullptr : owner_->rooms().find(room_ref{room_, room_generation_});
  if (c == nullptr || r == nullptr) return send_status::closed;
  return owner_->websockets().publish(*c, *r, op, payload);
}

// --- to the home of the room ---

std::uint32_t room::home() const { return room_home_shard(name_, server_->shard_count()); }

namespace {

// What travels: the message, the room's name, the member's, the payload.
std::span<const std::byte> room_call_bytes(room_call_kind what, opcode op, std::string_view name, std::string_view id,
                                           std::span<const std::byte> payload) {
  thread_local std::vector<std::byte> bytes;
  const room_call_record head{what, op, static_cast<std::uint16_t>(name.size()), static_cast<std::uint16_t>(id.size())};
  bytes.clear();
  const auto add = [](std::span<const std::byte> more) { bytes.insert(bytes.end(), more.begin(), more.end()); };
  add(bytes_of(head));
  add(std::as_bytes(std::span{name}));
  add(std::as_bytes(std::span{id}));
  add(payload);
  return bytes;
}

} // namespace

send_status room::call(room_call_kind what, opcode op, std::string_view id, std::span<const std::byte> payload) {
  if (!valid_) return send_status::invalid_name;
  const std::span<const std::byte> bytes = room_call_bytes(what, op, name_, id, payload);
  shard* here = shard::current();
  const bool ours = here != nullptr && handle_access::owns(*server_, *here);
  if (!ours && !handle_access::was_started(*server_)) return send_status::not_started;
  const std::size_t bytes_max = ours ? here->record_bytes_max() : handle_access::inbox_of(*server_, home()).record_bytes_max();
  std::unique_ptr<std::byte[]> copied;
  room_call_large_record large{};
  record_kind kind = record_kind::room_call;
  std::span<const std::byte> record = bytes;
  if (bytes.size() > bytes_max) {
    // Too large for a record: it travels as memory that the home frees.
    copied = std::make_unique_for_overwrite<std::byte[]>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), copied.get());
    large = {copied.get(), bytes.size()};
    kind = record_kind::room_call_large;
    record = bytes_of(large);
  }
  if (ours) {
    if (!here->takes_publications()) return send_status::closed;
    (void)copied.release();
    here->deliver(home(), kind, record, {});
    return send_status::queued;
  }
  switch (handle_access::inbox_of(*server_, home()).push(static_cast<std::uint32_t>(kind), record)) {
  case inbox_result::queued: (void)copied.release(); return send_status::queued;
  case inbox_result::full: return send_status::dropped;
  case inbox_result::closed:
  case inbox_result::too_large: break;
  }
  return send_status::closed;
}

send_status room::leave(std::string_view id) {
  if (!check_member_name(id)) return send_status::invalid_name;
  return call(room_call_kind::leave, opcode::text, id, {});
}

send_status room::broadcast(opcode op, std::span<const std::byte> payload) {
  if (!valid_) return send_status::invalid_name;
  shard* here = shard::current();
  if (here != nullptr && handle_access::owns(*server_, *here))
    if (room_part* known = here->rooms().known(name_)) {
      if (!here->takes_publications()) return send_status::closed;
      if (payload.size() > known->rules->message_bytes_max) return send_status::too_large;
      here->rooms().publish(*known, {.room = {known->index, known->generation}, .author = 0, .report_id = 0, .op = op, .author_hears = true},
                            payload);
      return send_status::queued;
    }
  if (payload.size() > message_bytes_max()) return send_status::too_large;
  return call(room_call_kind::publish, op, {}, payload);
}

std::uint64_t room::message_bytes_max() const noexcept {
  const room_rulebook* const rules = handle_access::room_rules_of(*server_);
  return rules == nullptr ? UINT64_MAX : rules->of(name_).message_bytes_max;
}

send_status room::send_to(std::string_view id, opcode op, std::span<const std::byte> payload) {
  if (!check_member_name(id)) return send_status::invalid_name;
  return call(room_call_kind::send_to, op, id, payload);
}

// --- questions ---

namespace {

room_info info_of(const room_listing& listing) { return {listing.members, listing.names, listing.user_count, listing.users}; }
room_page page_of(const room_listing& listing) { return {listing.rooms, listing.next}; }

// On the home of the room. A server that has not been started has no shards yet, which ask_shard() says.
template <class Answer>
std::future<Answer> ask_home(server& of, const std::string& room, std::function<void(shard&, std::shared_ptr<std::promise<Answer>>)> ask) {
  const std::uint32_t home = handle_access::was_started(of) ? room_home_shard(room, of.shard_count()) : 0;
  return ask_shard<Answer>(of, home, std::move(ask));
}

} // namespace

// --- joining ---

namespace {

// A claim of a seat that ends with the coroutine that made it, wherever that ends.
class seat_claim {
 public:
  seat_claim(shard& here, room_part& r, connection_handle who, std::string_view name, const join_options& options)
      : here_(here), who_(who), room_{r.index, r.generation}, options_(options),
        id_(here.claims().begin(r, who, name, seat_claims::name_rule::taken_over, options.replay ? replay_wish{*options.replay} : replay_wish{},
                                [this](std::uint32_t, claim_verdict verdict, replay* heard) {
                                  answered(verdict, heard);
                                  return true;
                                })) {}
  seat_claim(const seat_claim&) = delete;
  seat_claim& operator=(const seat_claim&) = delete;
  ~seat_claim() {
    here_.claims().end(id_, room_);
    if (took_seat_) here_.leave_room(who_, room_);
  }
  // False if the wait was ended instead.
  [[nodiscard]] answer_awaiter<bool>& answer() { return answer_; }
  // There was no memory for what was wished for.
  [[nodiscard]] bool has_no_replay() const { return has_no_replay_; }
  // Empty: there is one.
  [[nodiscard]] std::string_view why_no_seat() const { return engine::why_no_seat(verdict_); }
  [[nodiscard]] const joined_position& joined() const { return joined_; }
  // The seat is somebody else's from now on.
  void hand_over() { took_seat_ = false; }

 private:
  // A replay ends where the window of the room stands now: so the seat is taken at once, and not when the coroutine goes on.
  void answered(claim_verdict verdict, replay* heard) {
    verdict_ = verdict;
    connection* c = here_.find(who_);
    room_part* r = here_.rooms().find(room_);
    has_no_replay_ = options_.replay.has_value() && heard == nullptr && verdict == claim_verdict::granted;
    if (heard != nullptr && c != nullptr && c->is_open_websocket() && !c->message_open && r != nullptr && room_table::seat_of(*c, *r) == nullptr) {
      joined_ = heard->joined;
      if (!heard->spans.empty() || r->flushed != r->window.end()) here_.output().begin_backlog(*c); // as sit_down()
      here_.rooms().join(*c, *r, options_.hears, *heard);
      took_seat_ = true;
    }
    answer_.target()->set(true);
  }

  answer_awaiter<bool> answer_;
  shard& here_;
  connection_handle who_;
  room_ref room_;
  join_options options_;
  joined_position joined_;
  claim_verdict verdict_ = claim_verdict::granted;
  bool took_seat_ = false, has_no_replay_ = false;
  std::uint32_t id_;
};

} // namespace

task<seat> room::join(std::string_view id, receiver& ws, hearing hears) { return join(id, ws, join_options{.hears = hears}); }

task<seat> room::join(std::string_view id, receiver& ws, join_options options) {
  if (!valid_) co_return seat{valid_.error()};
  if (const auto valid = check_member_name(id); !id.empty() && !valid) co_return seat{valid.error()};
  static constexpr std::string_view over = "the connection is over";
  websocket_session* const session = handle_access::session_of(ws);
  const auto is_open = [&ws, session] { return ws.is_open() && session->where()->is_open_websocket(); };
  if (!is_open()) co_return seat{over};
  static constexpr std::string_view in_message = "the connection is sending a message in fragments";
  if (session->where()->message_open) co_return seat{in_message};
  shard& here = session->owner();
  if (!here.rates().admit_join(*session->where())) co_return seat{rate_gate::joins_too_fast};
  const connection_handle who = ws.handle();
  room_part& r = here.rooms().at(name_, encoding_with(is_deflating(here.encoding_of(*session->where())), options.numbered));
  const room_ref ref{r.index, r.generation};
  // Who sits here already has a name or takes this one.
  if (const membership* before = room_table::seat_of(*session->where(), r); before != nullptr && before->has_name()) id = {};
  seat_claim claim{here, r, who, id, options};
  const bool known = co_await claim.answer();
  if (known && !claim.why_no_seat().empty()) co_return seat{claim.why_no_seat()};
  const bool busy = known && is_open() && session->where()->message_open && room_table::seat_of(*session->where(), r) == nullptr;
  if (!known || claim.has_no_replay() || !is_open() || busy) {
    if (known && !id.empty())
      here.deliver(r.home_shard, record_kind::release_name, bytes_of(name_record{ref, who.value}), std::as_bytes(std::span{id}));
    if (known && claim.has_no_replay()) co_return seat{std::string_view{"the server has no memory"}};
    if (busy) co_return seat{in_message};
    co_return seat{known ? over : std::string_view{"the server is going away"}};
  }
  membership& taken = here.rooms().join(*session->where(), r, options.hears);
  if (!id.empty() && !taken.has_name()) taken.need_details().name = id;
  claim.hand_over();
  seat made{here, who, ref.index, ref.generation};
  made.joined_ = claim.joined();
  co_return made;
}

task<broadcast_report> room::broadcast_reported(opcode op, std::span<const std::byte> payload) {
  if (!valid_) co_return broadcast_report{};
  answer_awaiter<broadcast_report> answer;
  asking_shard().questions().publish_with_report(name_, op, payload,
                                                 [state = answer.target()](const broadcast_report& report) { state->set(report); });
  co_return co_await answer;
}

std::future<broadcast_report> room::broadcast_future(opcode op, std::span<const std::byte> payload) {
  if (!valid_) return at_once(broadcast_report{});
  return ask_home<broadcast_report>(
      *server_, name_, [name = name_, op, bytes = std::vector<std::byte>{payload.begin(), payload.end()}](shard& there, const auto& promise) {
        there.questions().publish_with_report(name, op, bytes, [promise](const broadcast_report& report) { promise->set_value(report); });
      });
}

void room::broadcast_reported(opcode op, std::span<const std::byte> payload, std::function<void(const broadcast_report&)> on_report,
                              const std::source_location& where) {
  if (valid_) asking_shard().questions().publish_with_report(name_, op, payload, std::move(on_report), where);
}

task<room_info> room::info() {
  if (!valid_) co_return room_info{};
  answer_awaiter<room_info> answer;
  asking_shard().questions().query_room(name_, [state = answer.target()](const room_listing& listing) { state->set(info_of(listing)); });
  co_return co_await answer;
}

std::future<room_info> room::info_future() {
  if (!valid_) return at_once(room_info{});
  return ask_home<room_info>(*server_, name_, [name = name_](shard& there, const auto& promise) {
    there.questions().query_room(name, [promise](const room_listing& listing) { promise->set_value(info_of(listing)); });
  });
}

void room::info(std::function<void(const room_info&)> on_answer, const std::source_location& where) {
  if (!valid_) return;
  asking_shard().questions().query_room(
      name_, [on_answer = std::move(on_answer)](const room_listing& listing) { on_answer(info_of(listing)); }, where);
}

namespace {

// A reader gets no more at once: what it is given is copied.
constexpr std::size_t read_bytes_max = 1u << 20;

room_messages messages_of(const replay* heard, const replay_options& wanted, std::uint32_t messages_max) {
  room_messages answer;
  if (heard == nullptr) return answer;
  answer.newest = heard->joined.at;
  answer.missing = wanted.after.has_value() && !heard->joined.resumed;
  std::size_t bytes = 0;
  bool is_full = false;
  for (const log_span& span : heard->spans) {
    if (is_full) break;
    for_each_message(span, [&](std::uint64_t sequence, opcode op, std::span<const std::byte> payload) {
      is_full = is_full || answer.messages.size() == messages_max || (bytes > 0 && bytes + payload.size() > read_bytes_max);
      if (is_full) return;
      bytes += payload.size();
      answer.messages.push_back({sequence, op, {payload.begin(), payload.end()}});
    });
  }
  answer.more = answer.next().sequence < answer.newest.sequence;
  return answer;
}

} // namespace

task<room_messages> room::read(replay_options wanted, std::uint32_t messages_max, std::uint32_t wait_ms) {
  if (!valid_) co_return room_messages{};
  answer_awaiter<room_messages> answer;
  asking_shard().questions().query_history(
      name_, replay_wish(wanted, messages_max), wait_ms,
      [state = answer.target(), wanted, messages_max](const replay* heard) { state->set(messages_of(heard, wanted, messages_max)); });
  co_return co_await answer;
}

std::future<room_messages> room::read_future(replay_options wanted, std::uint32_t messages_max, std::uint32_t wait_ms) {
  if (!valid_) return at_once(room_messages{});
  return ask_home<room_messages>(*server_, name_, [name = name_, wanted, messages_max, wait_ms](shard& there, const auto& promise) {
    there.questions().query_history(name, replay_wish(wanted, messages_max), wait_ms, [promise, wanted, messages_max](const replay* heard) {
      promise->set_value(messages_of(heard, wanted, messages_max));
    });
  });
}

void room::read(const replay_options& wanted, std::uint32_t messages_max, std::uint32_t wait_ms, std::function<void(const room_messages&)> on_answer,
                const std::source_location& where) {
  if (!valid_) return;
  asking_shard().questions().query_history(
      name_, replay_wish(wanted, messages_max), wait_ms,
      [wanted, messages_max, on_answer = std::move(on_answer)](const replay* heard) { on_answer(messages_of(heard, wanted, messages_max)); }, where);
}

task<std::uint32_t> room::count() {
  if (!valid_) co_return 0;
  answer_awaiter<std::uint32_t> answer;
  asking_shard().questions().query_room(name_, [state = answer.target()](const room_listing& listing) { state->set(listing.members); });
  co_return co_await answer;
}

std::future<std::uint32_t> room::count_future() {
  if (!valid_) return at_once(std::uint32_t{0});
  return ask_home<std::uint32_t>(*server_, name_, [name = name_](shard& there, const auto& promise) {
    there.questions().query_room(name, [promise](const room_listing& listing) { promise->set_value(listing.members); });
  });
}

task<room_page> server::rooms(std::string after, std::uint32_t rooms_max) {
  answer_awaiter<room_page> answer;
  asking_shard().questions().query_rooms(after, rooms_max, [state = answer.target()](const room_listing& listing) { state->set(page_of(listing)); });
  co_return co_await answer;
}

std::future<room_page> server::rooms_future(std::string after, std::uint32_t rooms_max) {
  return ask_home<room_page>(*this, after, [after, rooms_max](shard& there, const auto& promise) {
    there.questions().query_rooms(after, rooms_max, [promise](const room_listing& listing) { promise->set_value(page_of(listing)); });
  });
}

void server::rooms(std::string_view after, std::uint32_t rooms_max, std::function<void(const room_page&)> on_answer,
                   const std::source_location& where) {
  asking_shard().questions().query_rooms(
      after, rooms_max, [on_answer = std::move(on_answer)](const room_listing& listing) { on_answer(page_of(listing)); }, where);
}

} // namespace ringcast
