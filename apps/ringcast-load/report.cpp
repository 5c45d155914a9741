#include "apps/ringcast-load/report.hpp"

#include "apps/load/percentiles.hpp"
#include "apps/load/run/figures.hpp"

#include <array>
#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ringcast::load {

namespace {

// Above this share of a core the generator may have been what limited the run.
constexpr double busy_share = 0.9;
constexpr double wait_share = 0.1;
constexpr std::uint64_t lag_ns_most = 1'000'000;

double per_second(std::uint64_t count, const load_result& r) { return r.seconds > 0 ? static_cast<double>(count) / r.seconds : 0; }

// A sentence in lines of 80 columns, the first of which begins with `mark`.
std::string wrapped(std::string_view mark, std::string_view text) {
  std::string out{mark};
  std::size_t column = mark.size();
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    if (column + 1 + end - at > 80) {
      out += "\n" + std::string(mark.size(), ' ');
      column = mark.size();
    }
    out += ' ';
    out += text.substr(at, end - at);
    column += 1 + end - at;
    at = end + 1;
  }
  return out + '\n';
}

std::string row(std::string_view name, const histogram& of) {
  std::string out = fmt::format("  {:<22}", name);
  for (const quantile& q : quantiles) out += fmt::format("{:>9}", duration_text(of.percentile_ns(q.share)));
  return out + fmt::format("{:>9}\n", duration_text(of.max_ns()));
}

void add_figures(std::map<std::string, double>& to, const std::string& prefix, const histogram& of) {
  if (!of.total()) return;
  for (const quantile& q : quantiles) to[prefix + q.name] = static_cast<double>(of.percentile_ns(q.share));
  to[prefix + "max"] = static_cast<double>(of.max_ns());
}

std::string resume_text(const load_options& options, const load_result& r) {
  const resume_counts& c = r.resuming;
  const auto count = [](std::uint64_t n) { return with_separators(static_cast<double>(n)); };
  std::string out = fmt::format("  cut {} times: resumed {}  not resumed {}  messages replayed {}\n", count(c.cut), count(c.resumed),
                                count(c.not_resumed), count(c.replayed));
  return out + fmt::format("  {} of {} members heard everything; {} messages out of place by number\n", count(c.whole_members),
                           count(options.connections), count(c.misnumbered));
}

std::string order_text(const order_counts& o) {
  if (o.holds()) return fmt::format("  one order: {} deliveries compared\n", with_separators(static_cast<double>(o.compared)));
  return fmt::format("  no one order: {} connections differ from the first\n         position {}: message {} of sender {} at connection {},\n"
                     "         and message {} of sender {} at the first that came there\n",
                     with_separators(static_cast<double>(o.differing)), o.position, o.heard.number, o.heard.sender, o.connection, o.by_others.number,
                     o.by_others.sender);
}

std::string returns_text(const return_counts& c) {
  const auto count = [](std::uint64_t n) { return with_separators(static_cast<double>(n)); };
  std::string out = fmt::format("  the server ended {}; {} came back, at most {} of them in one second, and {} attempts were refused\n",
                                count(c.ended), count(c.returned), count(c.most_in_a_second()), count(c.refused));
  if (!c.refusal.empty()) out += wrapped("  the first refusal:", c.refusal.view());
  return out;
}

nlohmann::ordered_json order_json(const order_counts& o) {
  nlohmann::ordered_json out{{"compared", o.compared}, {"unjudged", o.unjudged}, {"differing", o.differing}};
  const auto message = [](const heard_message& m) { return nlohmann::ordered_json{{"sender", m.sender}, {"number", m.number}}; };
  if (!o.holds())
    out["first"] = {{"position", o.position}, {"connection", o.connection}, {"heard", message(o.heard)}, {"by_others", message(o.by_others)}};
  return out;
}

nlohmann::ordered_json resume_json(const load_options& options, const resume_counts& c) {
  nlohmann::ordered_json out{{"cut_seconds", options.cut_s}, {"seed", options.seed}};
  options.cut_all ? out["cut"] = "all" : out["cut"] = options.cut_share;
  out.update({{"times_cut", c.cut},
              {"resumed", c.resumed},
              {"not_resumed", c.not_resumed},
              {"replayed", c.replayed},
              {"misnumbered", c.misnumbered},
              {"whole_members", c.whole_members}});
  return out;
}

} // namespace

std::vector<std::string> report::doubts() const {
  std::vector<std::string> out;
  const load_result& r = result;
  if (!r.measured || r.seconds <= 0) return out;
  if (r.generator_cpu_s / r.seconds > busy_share) {
    out.push_back(
        fmt::format("the generator used {:.0f} % of a core: the server may be able to do more than this", 100 * r.generator_cpu_s / r.seconds));
  }
  if (r.generator_wait_s / r.seconds > wait_share) {
    out.push_back(fmt::format("the generator was ready and waited for a processor in {:.0f} % of the time: the "
                              "latency contains that",
                              100 * r.generator_wait_s / r.seconds));
  }
  if (r.send_lag.total() && r.send_lag.percentile_ns(.99) > lag_ns_most) {
    out.push_back(fmt::format("the generator itself was late: 1 % of the messages were sent {} or more after their "
                              "time; the corrected latency contains that",
                              duration_text(r.send_lag.percentile_ns(.99))));
  }
  return out;
}

std::vector<std::string> report::notes() const {
  std::vector<std::string> out = doubts();
  if (result.unsent) {
    out.push_back(fmt::format("{} planned messages still waited for earlier ones when time was up: this rate was not reached",
                              with_separators(static_cast<double>(result.unsent))));
  }
  if (options.to.compression && result.handshakes.total() && result.compression.connections == 0)
    out.push_back("the server did not agree on permessage-deflate: nothing was compressed");
  return out;
}

std::map<std::string, double> report::figures() const {
  const load_result& r = result;
  std::map<std::string, double> out;
  add_figures(out, "", r.corrected.total() ? r.corrected : r.raw);
  add_figures(out, "raw.", r.raw);
  add_figures(out, "handshake.", r.handshakes);
  add_figures(out, "send_lag.", r.send_lag);
  add_figures(out, "storm.", r.storm_times);
  add_figures(out, "catch_up.", r.catch_up);
  out["connections"] = static_cast<double>(r.connections);
  out["errors"] = static_cast<double>(r.errors);
  out["rate"] = has_messages(options.mode) ? per_second(r.messages, r) : per_second(r.opened, r);
  if (has_messages(options.mode)) {
    out["sent"] = static_cast<double>(r.totals.sent);
    out["expected"] = static_cast<double>(r.totals.expected);
    out["delivered"] = static_cast<double>(r.totals.delivered);
    out["lost"] = static_cast<double>(r.totals.lost);
    out["duplicated"] = static_cast<double>(r.totals.duplicated);
    out["reordered"] = static_cast<double>(r.totals.reordered);
    out["corrupted"] = static_cast<double>(r.totals.corrupted);
    out["unsent"] = static_cast<double>(r.unsent);
    out["delivery_rate"] = per_second(r.deliveries, r);
  }
  if (options.mode == load_mode::resume) {
    out["cut"] = static_cast<double>(r.resuming.cut);
    out["resumed"] = static_cast<double>(r.resuming.resumed);
    out["not_resumed"] = static_cast<double>(r.resuming.not_resumed);
    out["replayed"] = static_cast<double>(r.resuming.replayed);
    out["misnumbered"] = static_cast<double>(r.resuming.misnumbered);
    out["whole_members"] = static_cast<double>(r.resuming.whole_members);
  }
  if (options.ended_by_server) {
    out["ended"] = static_cast<double>(r.returns.ended);
    out["returned"] = static_cast<double>(r.returns.returned);
    out["refused"] = static_cast<double>(r.returns.refused);
    out["peak_returns"] = r.returns.most_in_a_second();
  }
  const std::uint64_t done = has_messages(options.mode) ? r.deliveries : r.opened;
  if (server && done) out["cpu_us"] = (server->user_s + server->system_s) * 1e6 / static_cast<double>(done);
  return out;
}

// What was run, in as few lines of 80 columns as it needs.
std::string report::head() const {
  std::vector<std::string> parts{options.server_text, std::string{name_of(options.mode)}};
  parts.push_back(fmt::format("{} connection{}", with_separators(static_cast<double>(result.connections)), result.connections == 1 ? "" : "s"));
  if (plan.processes > 1) parts.back() += fmt::format(", {} processes", plan.processes);
  if (plan.workers > plan.processes) parts.back() += fmt::format(", {} threads", plan.workers);
  if (has_messages(options.mode)) {
    parts.push_back(options.size_min == options.size_max ? fmt::format("{} B", options.size_min)
                                                         : fmt::format("{}-{} B", options.size_min, options.size_max));
    parts.push_back(options.bound            ? fmt::format("search for {}", options.bound->text)
                    : options.is_open_loop() ? fmt::format("open loop at {}/s", with_separators(options.rate))
                                             : fmt::format("closed loop, {} in flight", options.window()));
  }
  std::string out;
  std::size_t column = 0;
  for (const std::string& part : parts) {
    const bool fits = column == 0 || column + 2 + part.size() <= 80;
    if (!out.empty()) out += fits ? "  " : "\n  ";
    column = fits && !out.empty() ? column + 2 + part.size() : part.size() + 2;
    out += part;
  }
  return out + "\n";
}

std::string report::text() const {
  const load_result& r = result;
  const bool traffic = has_messages(options.mode);
  std::string out = head();
  if (!steps.empty()) {
    out += fmt::format("\n  {:>12}  {:>12}  {:>10}\n", "rate", "sent/s", options.bound->text.substr(0, options.bound->text.find('=')));
    for (const rate_step& step : steps) {
      out += fmt::format("  {:>12}  {:>12}  {:>10}  {}\n", with_separators(step.rate), with_separators(step.achieved), duration_text(step.latency_ns),
                         step.holds ? "holds" : "does not hold");
    }
    out += found_rate > 0 ? fmt::format("\n  highest rate that keeps {}: {}/s\n", options.bound->text, with_separators(found_rate))
                          : fmt::format("\n  no rate keeps {}\n", options.bound->text);
  }
  out += '\n';
  if (r.measured) {
    if (traffic) {
      out += fmt::format("  {} messages/s sent, {} deliveries/s, {:.2f} s measured\n\n", with_separators(per_second(r.messages, r)),
                         with_separators(per_second(r.deliveries, r)), r.seconds);
    } else if (options.mode != load_mode::idle) {
      out += fmt::format("  {} connections/s, {:.2f} s measured\n\n", with_separators(per_second(r.opened, r)), r.seconds);
    } else {
      out += fmt::format("  {} connections held for {:.2f} s\n\n", with_separators(static_cast<double>(r.connections)), r.seconds);
    }
  }
  if (r.handshakes.total() || r.raw.total() || r.corrected.total()) {
    out += fmt::format("  {:<22}", "");
    for (const quantile& q : quantiles) out += fmt::format("{:>9}", q.name);
    out += fmt::format("{:>9}\n", "max");
    if (r.corrected.total()) {
      out += row("latency, from the plan", r.corrected);
      if (r.raw.total()) out += row("raw, from the send", r.raw);
    } else if (r.raw.total()) {
      out += row("latency (closed loop)", r.raw);
    }
    if (r.storms) out += row(options.mode == load_mode::resume ? "all caught up" : "storm, all back", r.storm_times);
    if (r.catch_up.total()) out += row("caught up, each", r.catch_up);
    if (r.handshakes.total()) out += row("handshake", r.handshakes);
    out += '\n';
  }
  if (traffic) {
    const proof& p = r.totals;
    out += fmt::format("  proof: sent {}  expected {}  delivered {}\n         lost {}  duplicated {}  reordered {}  corrupted {}\n",
                       with_separators(static_cast<double>(p.sent)), with_separators(static_cast<double>(p.expected)),
                       with_separators(static_cast<double>(p.delivered)), with_separators(static_cast<double>(p.lost)),
                       with_separators(static_cast<double>(p.duplicated)), with_separators(static_cast<double>(p.reordered)),
                       with_separators(static_cast<double>(p.corrupted)));
    if (options.mode == load_mode::resume) out += resume_text(options, r);
    if (options.total_order) out += order_text(r.order);
    if (options.mode == load_mode::slow_reader) out += fmt::format("  the server closed {} slow readers\n", r.closed_slow);
    if (r.other_messages)
      out += fmt::format("  {} other messages came, which were not ours\n", with_separators(static_cast<double>(r.other_messages)));
  }
  if (options.ended_by_server) out += returns_text(r.returns);
  if (options.to.compression && r.compression.sent_bytes) {
    const compression_counts& c = r.compression;
    out += fmt::format("  permessage-deflate: sent {} as {}", bytes_text(static_cast<double>(c.sent_bytes)),
                       bytes_text(static_cast<double>(c.sent_wire_bytes)));
    out += fmt::format("\n          {} of {} messages came compressed", with_separators(static_cast<double>(c.received_deflated)),
                       with_separators(static_cast<double>(c.received_deflated + c.received_plain)));
    if (c.received_deflated)
      out += fmt::format(", {} as {}", bytes_text(static_cast<double>(c.received_bytes)), bytes_text(static_cast<double>(c.received_wire_bytes)));
    out += '\n';
  }
  if (server) {
    const std::uint64_t done = traffic ? r.deliveries : r.opened;
    out += fmt::format("  server: {:.2f} s user, {:.2f} s system", server->user_s, server->system_s);
    if (done)
      out += fmt::format(", {:.3f} us of CPU a {}", (server->user_s + server->system_s) * 1e6 / static_cast<double>(done),
                         traffic ? "delivery" : "connection");
    out += fmt::format("\n          {} private memory", bytes_text(static_cast<double>(server->memory_bytes)));
    if (r.connections && server->memory_bytes > server->memory_bytes_before) {
      out += fmt::format(", {} more a connection than before",
                         bytes_text(static_cast<double>(server->memory_bytes - server->memory_bytes_before) / static_cast<double>(r.connections)));
    }
    out += '\n';
  }
  if (r.errors) out += fmt::format("  {} connection error{}\n", with_separators(static_cast<double>(r.errors)), r.errors == 1 ? "" : "s");
  for (const std::string& note : notes()) out += wrapped("  note:", note);
  for (const std::string& failed : failed_asserts) out += wrapped("  assertion failed:", failed);
  return out;
}

std::string report::json() const {
  const load_result& r = result;
  nlohmann::ordered_json out;
  out["schema"] = "ringcast-load/1";
  out["url"] = options.server_text;
  out["mode"] = name_of(options.mode);
  out["loop"] = !has_messages(options.mode) ? "none" : options.is_open_loop() ? "open" : "closed";
  out["options"] = {{"connections", options.connections},
                    {"senders", options.senders},
                    {"size_min", options.size_min},
                    {"size_max", options.size_max},
                    {"rate", options.rate},
                    {"in_flight", options.window()},
                    {"duration_s", options.duration_s},
                    {"warmup_s", options.warmup_s},
                    {"processes", plan.processes},
                    {"threads", plan.workers},
                    {"ramp", options.ramp},
                    {"compression", options.to.compression},
                    {"sse", options.event_streams},
                    {"tls", options.to.server.scheme == url_scheme::wss}};
  out["complete"] = r.trouble.empty();
  if (!r.trouble.empty()) out["trouble"] = r.trouble.view();
  out["connections"] = r.connections;
  out["errors"] = r.errors;
  if (has_messages(options.mode)) {
    const proof& p = r.totals;
    out["proof"] = {{"sent", p.sent},           {"expected", p.expected},  {"delivered", p.delivered}, {"lost", p.lost}, {"duplicated", p.duplicated},
                    {"reordered", p.reordered}, {"corrupted", p.corrupted}};
    if (options.total_order) out["order"] = order_json(r.order);
    if (options.mode == load_mode::resume) out["resume"] = resume_json(options, r.resuming);
    out["other_messages"] = r.other_messages;
    if (options.mode == load_mode::slow_reader) out["closed_slow"] = r.closed_slow;
    if (options.to.compression) {
      const compression_counts& c = r.compression;
      out["compression"] = {{"connections", c.connections},
                            {"sent_bytes", c.sent_bytes},
                            {"sent_wire_bytes", c.sent_wire_bytes},
                            {"received_bytes", c.received_bytes},
                            {"received_wire_bytes", c.received_wire_bytes},
                            {"received_compressed", c.received_deflated},
                            {"received_plain", c.received_plain}};
    }
  }
  if (r.measured) {
    out["seconds"] = r.seconds;
    if (has_messages(options.mode)) {
      out["messages"] = r.messages;
      out["deliveries"] = r.deliveries;
      out["unsent"] = r.unsent;
      out["messages_per_second"] = per_second(r.messages, r);
      out["deliveries_per_second"] = per_second(r.deliveries, r);
      if (r.corrected.total()) out["latency_us"] = json_of(r.corrected);
      if (r.raw.total() || options.mode != load_mode::resume) out["raw_latency_us"] = json_of(r.raw);
      if (r.send_lag.total()) out["send_lag_us"] = json_of(r.send_lag);
    } else {
      out["opened"] = r.opened;
      out["opened_per_second"] = per_second(r.opened, r);
    }
    if (options.ended_by_server) {
      const return_counts& c = r.returns;
      out["returns"] = {{"ended", c.ended}, {"returned", c.returned}, {"refused", c.refused}, {"peak_per_second", c.most_in_a_second()}};
      if (!c.refusal.empty()) out["returns"]["first_refusal"] = c.refusal.view();
    }
    if (r.storms) out["storm_us"] = json_of(r.storm_times);
    if (r.catch_up.total()) out["catch_up_us"] = json_of(r.catch_up);
    out["generator_cpu_share"] = r.seconds > 0 ? r.generator_cpu_s / r.seconds : 0;
    out["generator_wait_share"] = r.seconds > 0 ? r.generator_wait_s / r.seconds : 0;
  }
  if (r.handshakes.total()) out["handshake_us"] = json_of(r.handshakes);
  if (server) {
    out["server"] = {{"user_s", server->user_s},
                     {"system_s", server->system_s},
                     {"memory_bytes", server->memory_bytes},
                     {"memory_bytes_before", server->memory_bytes_before}};
    const auto all = figures();
    if (all.contains("cpu_us")) out["server"]["cpu_us_per_delivery"] = all.at("cpu_us");
    if (r.connections) {
      out["server"]["bytes_per_connection"] =
          static_cast<double>(server->memory_bytes - server->memory_bytes_before) / static_cast<double>(r.connections);
    }
  }
  if (options.bound) {
    out["max_rate_under"] = {{"bound", options.bound->text}, {"rate", found_rate}, {"steps", nlohmann::ordered_json::array()}};
    for (const rate_step& step : steps) {
      out["max_rate_under"]["steps"].push_back({{"rate", step.rate},
                                                {"sent_per_second", step.achieved},
                                                {"latency_us", static_cast<double>(step.latency_ns) / 1000},
                                                {"holds", step.holds}});
    }
  }
  out["generator_limited"] = !doubts().empty();
  out["notes"] = notes();
  out["failed_asserts"] = failed_asserts;
  return out.dump(2) + "\n";
}

std::string report::hgrm() const {
  const histogram& of = result.corrected.total() ? result.corrected : result.raw;
  std::string out = fmt::format("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
  double sum = 0;
  double squares = 0;
  std::uint64_t seen = 0;
  const auto total = static_cast<double>(of.total());
  of.each([&](std::uint64_t value_ns, std::uint64_t count) {
    const double ms = static_cast<double>(value_ns) / 1e6;
    seen += count;
    sum += ms * static_cast<double>(count);
    squares += ms * ms * static_cast<double>(count);
    const double share = static_cast<double>(seen) / total;
    if (seen == of.total()) {
      out += fmt::format("{:12.3f} {:2.12f} {:10}\n", ms, 1.0, seen);
    } else {
      out += fmt::format("{:12.3f} {:2.12f} {:10} {:14.2f}\n", ms, share, seen, 1 / (1 - share));
    }
  });
  const double mean = total > 0 ? sum / total : 0;
  const double deviation = total > 0 ? std::sqrt(std::max(0.0, squares / total - mean * mean)) : 0;
  out += fmt::format("#[Mean    = {:12.3f}, StdDeviation   = {:12.3f}]\n", mean, deviation);
  out += fmt::format("#[Max     = {:12.3f}, Total count    = {:12}]\n", static_cast<double>(of.max_ns()) / 1e6, of.total());
  return out + fmt::format("#[Buckets = {:12}, SubBuckets     = {:12}]\n", histogram::buckets / histogram::linear, histogram::linear);
}

} // namespace ringcast::load
