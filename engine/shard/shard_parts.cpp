// What each part of a shard is given, and what the parts below it have to say to those above.
#include "engine/connection/user_events.hpp"
#include "engine/shard/shard.hpp"
#include <ringcast/detail/clock.hpp>

#include <exception>
#include <utility>

namespace ringcast::engine {

shard::shard(std::uint32_t index, const shard_options& options, mesh& between, inbox& from_threads, const http_router& router,
             std::unique_ptr<ring> r)
    : room_host(index, window_of(options.compression)), options_(options), mesh_(between), port_(between, index), inbox_(from_threads),
      clock_{.ms = engine::now_ms()}, ring_(std::move(r)), buffers_(*ring_, blocks_, receive_buffers, receive_buffer_bytes), wheel_(clock_.ms),
      timers_(wheel_, clock_), room_rules_({.policy = options.policy,
                                            .behind_bytes_max = options.limits.send_queue_bytes_max,
                                            .history = options.history,
                                            .cluster = options.all_rooms_of_cluster},
                                           options.rooms_like),
      home_(blocks_, *this, index, between.shard_count(), compressor_, options_.compression, room_rules_, options.history.total_bytes,
            options_.presence, clock_.ms),
      rooms_(*this, home_, between.shard_count(), between.record_bytes_max(), room_rules_), outbox_(*this, rooms_, *ring_, blocks_), users_(*this),
      access_({.taker = options_.on_access, .users = users_, .connections = connections_, .peers = peers_, .clock = clock_}),
      rules_(options_, seats_), share_(budget_, outbox_, home_), received_(blocks_),
      peers_({.admits = options.admits, .arrivals = options.arrivals, .proxies = options.proxies, .clock = clock_}),
      accepting_({.host = *this,
                  .connections = connections_,
                  .io = *ring_,
                  .wheel = wheel_,
                  .clock = clock_,
                  .peers = peers_,
                  .stop = stop_,
                  .counters = counters_}),
      receiving_({.connections = connections_,
                  .io = *ring_,
                  .buffers = buffers_,
                  .memory = received_,
                  .budget = budget_,
                  .share = share_,
                  .input = input_,
                  .closing = closing_,
                  .ledger = ledger_,
                  .clock = clock_,
                  .counters = counters_}),
      proxied_({.peers = peers_, .http = http_, .closing = closing_, .counters = counters_}), input_({.connections = connections_,
                                                                                                      .blocks = blocks_,
                                                                                                      .budget = budget_,
                                                                                                      .share = share_,
                                                                                                      .output = outbox_,
                                                                                                      .rules = rules_,
                                                                                                      .timers = timers_,
                                                                                                      .rates = rates_,
                                                                                                      .receiving = receiving_,
                                                                                                      .proxied = proxied_,
                                                                                                      .tls = tls_,
                                                                                                      .http = http_,
                                                                                                      .websockets = websockets_,
                                                                                                      .connecting = connecting_,
                                                                                                      .closing = closing_,
                                                                                                      .ledger = ledger_,
                                                                                                      .clock = clock_,
                                                                                                      .counters = counters_}),
      tls_({.host = *this,
            .output = outbox_,
            .limits = options_.limits,
            .share = share_,
            .seats = seats_,
            .peers = peers_,
            .receiving = receiving_,
            .input = input_,
            .http = http_,
            .connecting = connecting_,
            .closing = closing_,
            .ledger = ledger_,
            .counters = counters_}),
      http_({.options = options_,
             .router = router,
             .accepting = accepting_,
             .peers = peers_,
             .budget = budget_,
             .share = share_,
             .timers = timers_,
             .output = outbox_,
             .users = users_,
             .upgrades = upgrades_,
             .input = input_,
             .closing = closing_,
             .stop = stop_,
             .clock = clock_,
             .access = access_,
             .counters = counters_}),
      upgrades_({.host = *this,
                 .options = options_,
                 .peers = peers_,
                 .rules = rules_,
                 .rooms = rooms_,
                 .output = outbox_,
                 .users = users_,
                 .http = http_,
                 .input = input_,
                 .watch = watch_,
                 .compression = compression_,
                 .stop = stop_,
                 .access = access_,
                 .counters = counters_,
                 .clock = clock_}),
      websockets_({.connections = connections_,
                   .rules = rules_,
                   .budget = budget_,
                   .share = share_,
                   .timers = timers_,
                   .output = outbox_,
                   .rooms = rooms_,
                   .users = users_,
                   .seats = seats_,
                   .clients = clients_,
                   .receiving = receiving_,
                   .input = input_,
                   .watch = watch_,
                   .rates = rates_,
                   .compression = compression_,
                   .closing = closing_,
                   .stop = stop_,
                   .clock = clock_,
                   .counters = counters_}),
      compression_({.rules = rules_, .deflater = compressor_, .output = outbox_, .clients = clients_}), connecting_({.connections = connections_,
                                                                                                                     .seats = seats_,
                                                                                                                     .clients = clients_,
                                                                                                                     .io = *ring_,
                                                                                                                     .wheel = wheel_,
                                                                                                                     .timers = timers_,
                                                                                                                     .output = outbox_,
                                                                                                                     .users = users_,
                                                                                                                     .receiving = receiving_,
                                                                                                                     .input = input_,
                                                                                                                     .tls = tls_,
                                                                                                                     .websockets = websockets_,
                                                                                                                     .compression = compression_,
                                                                                                                     .closing = closing_,
                                                                                                                     .clock = clock_,
                                                                                                                     .counters = counters_}),
      closing_({.connections = connections_,
                .io = *ring_,
                .timers = timers_,
                .output = outbox_,
                .rooms = rooms_,
                .users = users_,
                .limits = options_.limits,
                .seats = seats_,
                .accepting = accepting_,
                .receiving = receiving_,
                .input = input_,
                .tls = tls_,
                .http = http_,
                .proxied = proxied_,
                .upgrades = upgrades_,
                .connecting = connecting_,
                .compression = compression_,
                .ledger = ledger_,
                .access = access_,
                .counters = counters_}),
      watch_({.limits = options_.limits,
              .rules = rules_,
              .timers = timers_,
              .http = http_,
              .websockets = websockets_,
              .rates = rates_,
              .connecting = connecting_,
              .closing = closing_,
              .clock = clock_}),
      rates_({.rules = rules_,
              .timers = timers_,
              .input = input_,
              .peers = peers_,
              .websockets = websockets_,
              .users = users_,
              .clock = clock_,
              .counters = counters_}),
      ledger_({.bytes_max = options_.memory_bytes,
               .connections = connections_,
               .blocks = blocks_,
               .deflater = compressor_,
               .memory = received_,
               .port = port_,
               .output = outbox_,
               .sessions = session_endpoints_,
               .wheel = wheel_,
               .upgrades = upgrades_,
               .input = input_,
               .http = http_,
               .websockets = websockets_,
               .closing = closing_,
               .clock = clock_,
               .counters = counters_}),
      questions_({.own = index,
                  .shard_count = between.shard_count(),
                  .record_bytes_max = between.record_bytes_max(),
                  .courier = *this,
                  .rooms = rooms_,
                  .home = home_,
                  .users = users_,
                  .stop = stop_}),
      asked_({.own = index, .shard_count = between.shard_count(), .courier = *this, .users = users_}),
      connection_list_({.own = index,
                        .shard_count = between.shard_count(),
                        .courier = *this,
                        .users = users_,
                        .connections = connections_,
                        .peers = peers_,
                        .output = outbox_,
                        .clock = clock_}),
      claims_(rooms_, *this),
      joins_({.owner = *this, .host = *this, .rooms = rooms_, .output = outbox_, .claims = claims_, .users = users_, .rates = rates_, .stop = stop_}),
      records_({.host = *this,
                .limits = options_.limits,
                .between = mesh_,
                .port = port_,
                .from_threads = inbox_,
                .connections = connections_,
                .rooms = rooms_,
                .output = outbox_,
                .users = users_,
                .home = home_,
                .share = share_,
                .websockets = websockets_,
                .upgrades = upgrades_,
                .claims = claims_,
                .rates = rates_,
                .questions = questions_,
                .ledger = ledger_,
                .stopping = stopping_,
                .counters = counters_}),
      stopping_({.state = stop_,
                 .limits = options_.limits,
                 .between = mesh_,
                 .port = port_,
                 .from_threads = inbox_,
                 .connections = connections_,
                 .home = home_,
                 .users = users_,
                 .coroutines = scheduler_,
                 .wheel = wheel_,
                 .accepting = accepting_,
                 .http = http_,
                 .websockets = websockets_,
                 .closing = closing_,
                 .clock = clock_,
                 .counters = counters_}),
      draining_({.state = stop_,
                 .orders = options.orders,
                 .between = mesh_,
                 .connections = connections_,
                 .wheel = wheel_,
                 .accepting = accepting_,
                 .stopping = stopping_,
                 .websockets = websockets_,
                 .users = users_,
                 .clock = clock_}),
      watch_on_handlers_(options.slow_handler_ms), idle_(options.spin_us * 1000ULL), scheduler_(wheel_, &between.bell(index)) {
  if (options_.make_cluster) {
    cluster_ = options_.make_cluster(index, *ring_);
    home_.use(*cluster_);
    wheel_.arm(cluster_timer_, clock_.ms + 1);
  }
  if (options_.slow_handler_ms != 0) {
    users_.set_watch(&watch_on_handlers_);
    scheduler_.set_watch(&watch_on_handlers_);
  }
  scheduler_.on_exception([this](std::exception_ptr thrown, const std::source_location& where) {
    try {
      std::rethrow_exception(std::move(thrown));
    } catch (...) {
      users_.log_thrown("the task", where);
    }
  });
}

void shard::on_accepted(connection& c, const tls_identity* identity) {
  if (identity != nullptr) tls_.begin(c, *identity);
  receiving_.arm(c);
  timers_.arm(c, options_.limits.handshake_timeout_ms);
}

void shard::on_refused(connection& c, std::string_view why, std::uint32_t retry_after_s) {
  receiving_.arm(c);
  if (retry_after_s != 0) return http_.refuse_for_now(c, why, retry_after_s);
  http_.refuse_request(c, http_status::service_unavailable, why);
}

void shard::on_output_refused(connection& c) {
  ++counters_.allocations_failed;
  closing_.give_up(c, 1013, "the server has no memory");
}

// A part of the backlog was sent.
void shard::on_output_progress(connection& c) {
  // The peer's TCP has acknowledged bytes: it lives, even if it says nothing.
  c.last_heard_ms = static_cast<std::uint32_t>(clock_.ms);
  if (c.phase == connection_phase::finishing) {
    if (c.behind == nullptr) closing_.on_all_sent(c);
    return;
  }
  if (c.phase == connection_phase::ending) return;
  if (c.is_client)
    if (client_link* const link = seats_[c].link; link != nullptr) link->on_output_taken(outbox_.taken_bytes(c), c.behind != nullptr);
  if (c.behind != nullptr && c.behind->own_bytes() > low_watermark_bytes) return;
  if (c.input_stopped)
    input_.look_again(c);
  else
    receiving_.resume(c);
  if (c.phase == connection_phase::http) return http_.on_output_progress(c);
  if (!c.is_open_websocket() || !c.endpoint->on_drain) return;
  if (c.endpoint->is_internal)
    users_.internal_drained(c);
  else
    users_.note(c, user_event::drained);
}

void shard::deliver(std::uint32_t to, record_kind kind, std::span<const std::byte> value, std::span<const std::byte> more) {
  records_.deliver(to, kind, value, more);
}

void shard::run_work(const std::function<void(shard&)>& work) { work(*this); }

void shard::leave_room(connection_handle who, room_ref where) noexcept {
  connection* c = find(who);
  room_part* r = rooms_.find(where);
  if (c != nullptr && r != nullptr) rooms_.leave(*c, *r);
}

} // namespace ringcast::engine
