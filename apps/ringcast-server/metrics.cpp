#include "apps/ringcast-server/metrics.hpp"

#include <ringcast/log.hpp>

#include <cstdio>
#include <fcntl.h>
#include <fmt/format.h>
#include <iterator>
#include <unistd.h>

namespace ringcast {

namespace {

// A family: its help and type, then a line for each of its values. Names, labels and help are this file's own words, so nothing needs an escape.
class writer {
 public:
  writer& counter(std::string_view name, std::string_view help) { return family(name, "counter", help); }
  writer& gauge(std::string_view name, std::string_view help) { return family(name, "gauge", help); }
  writer& value(std::uint64_t number) {
    fmt::format_to(std::back_inserter(text_), "ringcast_{} {}\n", name_, number);
    return *this;
  }
  writer& value(std::string_view label, std::string_view of, std::uint64_t number) {
    fmt::format_to(std::back_inserter(text_), "ringcast_{}{{{}=\"{}\"}} {}\n", name_, label, of, number);
    return *this;
  }
  writer& seconds(std::string_view label, std::size_t of, std::uint64_t ns) {
    fmt::format_to(std::back_inserter(text_), "ringcast_{}{{{}=\"{}\"}} {}\n", name_, label, of, in_seconds(ns));
    return *this;
  }
  void histogram(std::string_view name, std::string_view help, const duration_histogram& of) {
    family(name, "histogram", help);
    std::uint64_t up_to = 0;
    for (std::size_t i = 0; i + 1 < duration_histogram::bucket_count; ++i) {
      up_to += of.count_of(i);
      fmt::format_to(std::back_inserter(text_), "ringcast_{}_bucket{{le=\"{}\"}} {}\n", name, in_seconds(duration_histogram::end_ns(i)), up_to);
    }
    fmt::format_to(std::back_inserter(text_), "ringcast_{0}_bucket{{le=\"+Inf\"}} {1}\nringcast_{0}_sum {2}\nringcast_{0}_count {1}\n", name,
                   of.count(), in_seconds(of.sum_ns()));
  }
  [[nodiscard]] std::string text() && { return std::move(text_); }

 private:
  static double in_seconds(std::uint64_t ns) { return static_cast<double>(ns) / 1e9; }
  writer& family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    fmt::format_to(std::back_inserter(text_), "# HELP ringcast_{0} {1}\n# TYPE ringcast_{0} {2}\n", name, help, type);
    return *this;
  }

  std::string text_;
  std::string_view name_;
};

std::string_view name_of(slow_consumer policy) {
  switch (policy) {
  case slow_consumer::close: return "close";
  case slow_consumer::drop_newest: return "drop-newest";
  case slow_consumer::drop_oldest: return "drop-oldest";
  case slow_consumer::latest: return "latest";
  }
  return "";
}

void write_connections(writer& to, const shard_statistics& all) {
  to.gauge("connections", "Connections now, by what they are; http has those whose handshake is under way.")
      .value("kind", "http", all.http_connections)
      .value("kind", "websocket", all.websocket_connections)
      .value("kind", "ending", all.ending_connections)
      .value("kind", "client", all.client_connections);
  to.counter("connections_accepted_total", "Connections that were accepted.").value(all.accepted);
  to.counter("handshakes_total", "WebSocket handshakes that were answered with 101.").value(all.handshakes);
  to.counter("refusals_total", "Connections, requests and upgrades that were refused, by reason.");
  for (std::size_t i = 0; i < refusal_count; ++i) to.value("reason", name_of(static_cast<refusal>(i)), all.refusals[i]);
  static constexpr std::string_view classes[] = {"1xx", "2xx", "3xx", "4xx", "5xx"};
  to.counter("http_responses_total", "HTTP answers by class of their status, without those with 101.");
  for (std::size_t i = 0; i < all.responses.size(); ++i) to.value("code", classes[i], all.responses[i]);
  to.counter("closes_total", "WebSockets that are over, by close code.");
  for (std::size_t i = 0; i < close_code_places; ++i) to.value("code", name_of_close_code_place(i), all.closes[i]);
  to.counter("violations_total", "Rules of RFC 6455 and RFC 7692 that peers broke.");
  for (std::size_t i = 0; i < protocol_rules; ++i) to.value("rule", name_of_protocol_rule(i), all.violations[i]);
  to.counter("ended_for_memory_total", "Connections that were ended because they held the most of too much memory.").value(all.ended_for_memory);
  to.counter("resets_total", "Connections that had not taken what was sent to them when their grace ended.").value(all.resets);
  to.counter("allocations_failed_total", "Allocations that failed; each ended a connection or dropped a message.").value(all.allocations_failed);
  to.counter("callbacks_failed_total", "Handlers that threw.").value(all.callbacks_failed);
}

void write_traffic(writer& to, const shard_statistics& all) {
  to.counter("received_bytes_total", "Bytes that TCP has brought.").value(all.bytes_received);
  to.counter("sent_bytes_total", "Bytes that TCP has taken.").value(all.bytes_sent);
  to.counter("received_messages_total", "WebSocket messages that were received.").value(all.messages_received);
  to.counter("sent_messages_total", "WebSocket messages to single connections.").value(all.messages_sent);
  to.counter("inputs_stopped_total", "Times that a peer's input had to wait.").value(all.inputs_stopped);
  to.counter("inputs_paused_total", "Times that a peer was not read because it sent faster than it may.").value(all.inputs_paused_for_rate);
  to.counter("dropped_messages_total", "Messages that were dropped because they came faster than they may.").value(all.messages_dropped_for_rate);
  to.counter("messages_to_nobody_total", "Messages for connections that had gone.").value(all.sent_to_nobody);
}

void write_rooms(writer& to, const shard_statistics& all) {
  to.gauge("rooms", "Rooms now, those with a history and without members too.").value(all.rooms);
  to.counter("deliveries_total", "Messages of rooms times the members that they were queued for.").value(all.deliveries);
  to.counter("lost_messages_total", "Messages that slow-consumer policies took from members.");
  for (const slow_consumer policy : {slow_consumer::drop_newest, slow_consumer::drop_oldest, slow_consumer::latest})
    to.value("policy", name_of(policy), all.messages_lost[static_cast<std::size_t>(policy)]);
  to.counter("gaps_total", "Gaps that members were told of.").value(all.gaps);
  to.counter("slow_closes_total", "Members that were closed because they were too far behind.").value(all.members_closed_slow);
  to.gauge("history_bytes", "What rooms keep of what was said.").value(all.history_bytes);
  to.gauge("history_limit_bytes", "What rooms may keep together; 0: they keep nothing.").value(all.history_bytes_max);
}

void write_cluster(writer& to, const shard_statistics& all) {
  to.gauge("cluster_links", "Shards that need what orders the rooms of the cluster.").value(all.cluster_links);
  to.gauge("cluster_links_up", "Those of them that can reach it now.").value(all.cluster_links_up);
  to.counter("cluster_losses_total", "Times that a shard could not reach it any more.").value(all.cluster_losses);
  to.counter("cluster_commands_total", "Commands to it.").value(all.cluster_commands);
  to.counter("cluster_gaps_total", "Times that it did not have any more what a room had missed.").value(all.cluster_gaps);
  to.counter("cluster_resets_total", "Times that a room counted anew because it had lost something, or may have.").value(all.cluster_resets);
}

void write_layers(writer& to, const shard_statistics& all) {
  to.counter("tls_handshakes_total", "TLS handshakes that were finished, full or resumed by a ticket.")
      .value("kind", "full", all.tls_handshakes_full)
      .value("kind", "resumed", all.tls_handshakes_resumed);
  to.counter("tls_failures_total", "TLS sessions that failed.").value(all.tls_failures);
  to.counter("deflated_messages_total", "Messages that were compressed, a broadcast once.").value(all.messages_deflated);
  to.counter("not_smaller_messages_total", "Messages that were not smaller compressed, and sent as they were.").value(all.messages_not_smaller);
  to.counter("deflate_in_bytes_total", "Bytes of messages before they were compressed.").value(all.deflate_bytes_in);
  to.counter("deflate_out_bytes_total", "Bytes of messages after they were compressed.").value(all.deflate_bytes_out);
  to.counter("inflated_messages_total", "Compressed messages that were received.").value(all.messages_inflated);
  to.counter("inflate_in_bytes_total", "Bytes of messages before they were decompressed.").value(all.inflate_bytes_in);
  to.counter("inflate_out_bytes_total", "Bytes of messages after they were decompressed.").value(all.inflate_bytes_out);
}

void write_shards(writer& to, const server_statistics& told, const shard_statistics& all) {
  to.histogram("turn_seconds", "Turns of shards' loops that found something to do, from what was received to what is handed to the kernel.",
               all.turn_times);
  to.histogram("receive_to_send_seconds", "The same for each message that was received: until what it led to on this shard is handed to the kernel.",
               all.receive_to_send);
  const auto each = [&](std::uint64_t shard_statistics::* number) {
    for (std::size_t i = 0; i < told.shards.size(); ++i) to.value("shard", fmt::format_int(i).c_str(), told.shards[i].*number);
  };
  to.counter("shard_turns_total", "Turns of the loop.");
  each(&shard_statistics::turns);
  to.counter("shard_busy_seconds_total", "Time in turns that found something to do, without the system call between them.");
  for (std::size_t i = 0; i < told.shards.size(); ++i) to.seconds("shard", i, told.shards[i].turn_times.sum_ns());
  to.gauge("shard_websockets", "Open WebSockets.");
  each(&shard_statistics::websocket_connections);
  to.counter("shard_received_messages_total", "WebSocket messages that were received.");
  each(&shard_statistics::messages_received);
  to.counter("shard_deliveries_total", "Messages of rooms times the members that they were queued for.");
  each(&shard_statistics::deliveries);
  to.gauge("shard_receive_buffers", "Provided receive buffers.");
  each(&shard_statistics::receive_buffers);
  to.gauge("shard_receive_buffers_free", "Provided receive buffers that the kernel has.");
  each(&shard_statistics::receive_buffers_free);
  to.counter("shard_receives_parked_total", "Receives that found no free buffer.");
  each(&shard_statistics::receives_parked);
  to.gauge("shard_lane_waiting_bytes", "What waits for room in the lanes to other shards.");
  each(&shard_statistics::lane_bytes_waiting);
  to.counter("shard_turns_held_total", "Turns that took no input before less waited for the lanes.");
  each(&shard_statistics::turns_held_by_overflow);
  to.gauge("shard_held_bytes", "What is held for peers.");
  each(&shard_statistics::held_bytes);
  to.gauge("shard_held_limit_bytes", "What may be held for peers.");
  each(&shard_statistics::held_bytes_max);
}

void write_application(writer& to, const application_numbers& told) {
  to.counter("authorize_questions_total", "Questions to the application by HTTP.").value(told.questions);
  to.counter("authorize_cached_total", "Requests that were decided by an answer that was kept.").value(told.from_cache);
  to.counter("authorize_results_total", "Requests that the application decided, or did not.");
  for (const auto& [result, count] : told.results) to.value("result", result, count);
}

void write_webhooks(writer& to, const webhook_numbers& told) {
  to.gauge("webhook_events_queued", "Events that the application is to be told.").value(told.queued);
  to.counter("webhook_events_delivered_total", "Events that it has taken.").value(told.delivered);
  to.counter("webhook_events_dropped_total", "Events for which the queue had no room.").value(told.dropped);
  to.counter("webhook_requests_total", "Requests to the application, each with a batch of events.").value(told.requests);
  to.counter("webhook_failures_total", "Requests that it did not take, which are sent again.").value(told.failures);
}

} // namespace

process_numbers process_numbers_now() {
  process_numbers now{.log_lines_dropped = dropped_log_lines(), .resident_bytes = {}};
  const int file = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (file < 0) return now;
  char text[128]{};
  unsigned long long pages = 0;
  if (::read(file, text, sizeof text - 1) > 0 && std::sscanf(text, "%*u %llu", &pages) == 1)
    now.resident_bytes = pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  ::close(file);
  return now;
}

std::string metrics_text(const server_statistics& told, const process_numbers& process) {
  const shard_statistics all = told.total();
  writer to;
  write_connections(to, all);
  write_traffic(to, all);
  write_rooms(to, all);
  if (all.cluster_links > 0) write_cluster(to, all);
  write_layers(to, all);
  write_shards(to, told, all);
  if (!process.token_refusals.empty()) {
    to.counter("token_refusals_total", "Requests and messages that were refused for their token, by reason.");
    for (const auto& [reason, count] : process.token_refusals) to.value("reason", reason, count);
  }
  if (!process.admin_actions.empty()) {
    to.counter("admin_actions_total", "What was done by the admin address, and what was refused there.");
    for (const auto& [action, count] : process.admin_actions) to.value("action", action, count);
  }
  if (process.application) write_application(to, *process.application);
  if (process.webhooks) write_webhooks(to, *process.webhooks);
  to.counter("log_lines_dropped_total", "Lines of the log that standard error did not take.").value(process.log_lines_dropped);
  if (process.access_lines_dropped)
    to.counter("access_log_lines_dropped_total", "Lines of the access log that its file did not take.").value(*process.access_lines_dropped);
  if (process.resident_bytes) to.gauge("resident_memory_bytes", "Memory of the process that is resident.").value(*process.resident_bytes);
  return std::move(to).text();
}

} // namespace ringcast
