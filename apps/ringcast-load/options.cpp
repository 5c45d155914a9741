#include "apps/ringcast-load/options.hpp"

#include "apps/load/run/result.hpp"
#include "apps/load/run/shared_order.hpp"
#include "apps/load/tag.hpp"
#include "apps/ringcast-load/asserts.hpp"
#include "apps/ringcast-load/man_page.hpp"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>
#include <fmt/format.h>
#include <sstream>

namespace ringcast::load {

namespace {

// The words of the command line that need more than CLI11 knows.
struct raw_options {
  std::string url;
  std::string mode = "echo";
  std::string rate = "max";
  std::string size = "64";
  std::string sources;
  std::string bound;
  std::string cut = "0.2";
  std::vector<std::string> asserts;
  std::string order = "sender";
  bool no_self = false;
};

constexpr std::uint64_t pairs_max = 400'000'000;

bool read_number(std::string_view text, double& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size() && out >= 0;
}

bool read_size(std::string_view text, std::size_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

std::string read_rate(std::string text, load_options& out) {
  if (text == "max") return {};
  if (text.ends_with("/s")) text.resize(text.size() - 2);
  if (!read_number(text, out.rate) || out.rate <= 0 || out.rate > 1e8) {
    return fmt::format("--rate: '{}' is neither a number of messages a second (up to 100,000,000) nor max", text);
  }
  return {};
}

std::string read_sizes(const std::string& text, load_options& out) {
  const auto dash = text.find('-');
  const std::string_view low = std::string_view{text}.substr(0, dash);
  const std::string_view high = dash == std::string::npos ? low : std::string_view{text}.substr(dash + 1);
  if (!read_size(low, out.size_min) || !read_size(high, out.size_max) || out.size_min > out.size_max) {
    return fmt::format("--size: '{}' is neither BYTES nor MIN-MAX", text);
  }
  if (out.size_min < tag_bytes) return fmt::format("--size: a message has at least {} bytes: its sender, number and time", tag_bytes);
  if (out.size_max > (std::size_t{64} << 20)) return "--size: a message has at most 64 MiB";
  return {};
}

std::string read_cut(const std::string& text, load_options& out) {
  out.cut_all = text == "all";
  if (out.cut_all || (read_number(text, out.cut_share) && out.cut_share >= 0.001 && out.cut_share <= 0.9)) return {};
  return fmt::format("--cut: '{}' is neither a share of the time from 0.001 to 0.9 nor all", text);
}

// What --mode resume asks of the other options.
std::string check_resume(const raw_options& raw, const load_options& options) {
  if (!options.is_open_loop()) return "--mode resume: say how many messages a second the room publishes, as in --rate 50";
  if (raw.no_self) return "--no-self: with --mode resume every member hears every message";
  if (options.senders == options.connections) return "--mode resume: the senders are not cut, and there is no other connection";
  if (options.cut_all && options.cut_s > options.duration_s) return "--cut-seconds: longer than --duration";
  return {};
}

std::string read_order(const raw_options& raw, load_options& out) {
  if (raw.order == "sender") return {};
  if (raw.order != "total") return fmt::format("--order: '{}' is neither sender nor total", raw.order);
  if (out.mode != load_mode::broadcast && out.mode != load_mode::chat && out.mode != load_mode::slow_reader)
    return "--order total: only of --mode broadcast, chat and slow-reader; resume compares by number";
  if (raw.no_self) return "--order total: with --no-self the senders hear less than the others";
  if (!raw.bound.empty()) return "--order total: with --max-rate-under messages may be lost, and what is behind them stands elsewhere";
  if (out.senders > shared_order::senders_max) return "--order total: there are too many senders";
  out.total_order = true;
  return {};
}

// "127.0.0.1,127.0.0.2" or "127.0.0.1-8".
std::string read_sources(const std::string& text, load_options& out) {
  std::size_t at = 0;
  while (at <= text.size() && !text.empty()) {
    const auto comma = std::min(text.find(',', at), text.size());
    const std::string item = text.substr(at, comma - at);
    at = comma + 1;
    const auto dash = item.find('-');
    const std::string first = item.substr(0, dash);
    if (!is_ipv4_address(first) && !is_ipv6_address(first)) return fmt::format("--source-addresses: '{}' is not an IP address", item);
    if (dash == std::string::npos) {
      out.to.source_addresses.push_back(first);
      continue;
    }
    const auto dot = first.rfind('.');
    std::size_t from = 0;
    std::size_t to = 0;
    if (dot == std::string::npos || !read_size(std::string_view{first}.substr(dot + 1), from) ||
        !read_size(std::string_view{item}.substr(dash + 1), to) || to < from || to > 255) {
      return fmt::format("--source-addresses: '{}' is not a range like 127.0.0.1-8", item);
    }
    for (; from <= to; ++from) out.to.source_addresses.push_back(fmt::format("{}.{}", first.substr(0, dot), from));
  }
  return {};
}

// The range itself is no part of the help: it would be longer than what the option does.
template <typename Number> CLI::Validator between(Number least, Number most) { return CLI::Range(least, most).description(""); }

// The same words in lines of at most this width.
std::string in_lines(const std::string& text, std::size_t width) {
  std::string out;
  std::size_t line_begin = 0;
  std::istringstream words{text};
  for (std::string word; words >> word;) {
    if (!out.empty() && out.size() + 1 + word.size() - line_begin > width) {
      out += '\n';
      line_begin = out.size();
    } else if (!out.empty()) {
      out += ' ';
    }
    out += word;
  }
  return out;
}

// One sentence about what is wrong, or nothing.
std::string finish(const raw_options& raw, load_options& out) {
  const auto parsed = parse_url(raw.url);
  if (!parsed) return fmt::format("'{}' is not a URL to connect to: {}", raw.url, parsed.error());
  out.to.server = *parsed;
  out.server_text = raw.url;
  if (out.to.server.scheme != url_scheme::wss && (out.to.tls_insecure || !out.to.tls_ca_file.empty()))
    return fmt::format("--tls-insecure, --tls-ca: '{}' does not begin with wss://", raw.url);
  if (out.to.tls_insecure && !out.to.tls_ca_file.empty()) return "--tls-insecure, --tls-ca: only one of them; insecure accepts any certificate";
  const auto mode = mode_of(raw.mode);
  if (!mode) {
    return fmt::format("--mode: '{}' is not one of echo, broadcast, chat, connect, idle, slow-reader, reconnect-storm, resume", raw.mode);
  }
  out.mode = *mode;
  out.to.names = out.mode == load_mode::chat;
  out.self = !raw.no_self;
  if (auto why = read_rate(raw.rate, out); !why.empty()) return why;
  if (auto why = read_sizes(raw.size, out); !why.empty()) return why;
  if (auto why = read_cut(raw.cut, out); !why.empty()) return why;
  if (auto why = read_sources(raw.sources, out); !why.empty()) return why;
  if (out.mode == load_mode::chat || out.mode == load_mode::echo) out.senders = out.connections;
  if (out.senders > out.connections) return fmt::format("--senders: {} of {} connections cannot send", out.senders, out.connections);
  if (has_messages(out.mode) && out.hearer_count() == 0) return "--no-self: with one connection nobody would hear anything";
  if (auto why = read_order(raw, out); !why.empty()) return why;
  if (out.event_streams && out.mode != load_mode::broadcast && out.mode != load_mode::resume) return "--sse: only of --mode broadcast and resume";
  if (out.event_streams && out.senders == out.connections) return "--sse: every connection sends, so none is an event stream";
  if (out.ended_by_server && (out.mode != load_mode::reconnect_storm || out.duration_s > return_counts::seconds_max))
    return fmt::format("--ended-by-server: only of --mode reconnect-storm, and up to {} s of it", return_counts::seconds_max);
  if (out.mode == load_mode::resume) {
    if (auto why = check_resume(raw, out); !why.empty()) return why;
  }
  // What is expected next is kept for each pair of a sender and a hearer.
  if (out.mode != load_mode::echo && has_messages(out.mode) && std::uint64_t{out.connections} * out.senders > pairs_max) {
    return fmt::format("{} connections that hear {} senders are more than the {} pairs that can be accounted for", out.connections, out.senders,
                       pairs_max);
  }
  if (std::max(out.threads, out.processes) > out.connections) return "--threads, --processes: there are more of them than connections";
  for (const std::string& text : raw.asserts) {
    auto read = read_assertion(text);
    if (!read) return read.error();
    out.asserts.push_back(*read);
  }
  if (!raw.bound.empty()) {
    auto read = read_bound(raw.bound);
    if (!read) return read.error();
    out.bound = *read;
    if (out.mode != load_mode::echo && out.mode != load_mode::broadcast && out.mode != load_mode::chat) {
      return "--max-rate-under: this mode has no message latency to bound";
    }
  }
  return {};
}

} // namespace

parse_outcome parse_options(int argc, char** argv) {
  load_options out;
  raw_options raw;
  CLI::App app{"Puts load on a WebSocket server, measures what it did, and proves that every\nmessage arrived.", "ringcast-load"};
  app.set_version_flag("--version", std::string{"ringcast-load "} + RINGCAST_VERSION);
  app.footer("Exit code: 0 all is well; 1 messages were lost, duplicated, reordered or\n"
             "corrupted, or an assertion failed; 2 the run could not be done or finished.\n\n"
             "  ringcast-load ws://127.0.0.1:9001/echo --connections 200\n"
             "  ringcast-load ws://127.0.0.1:9001/broadcast/room --mode broadcast \\\n"
             "    --connections 1000 --rate 100 --assert 'p99<20ms'");
  app.add_option("url", raw.url, "ws:// or wss://host[:port]/path; {i} stands for the number of the connection")->required()->type_name("URL");
  app.add_option("--mode", raw.mode, "echo, broadcast, chat, connect, idle, slow-reader, reconnect-storm or resume")
      ->capture_default_str()
      ->type_name("MODE");
  app.add_option("--connections", out.connections, "How many connections")->check(between(1u, 1'000'000u))->capture_default_str()->type_name("N");
  app.add_option("--senders", out.senders, "How many of them publish (broadcast, slow-reader, resume)")
      ->check(between(1u, 1'000'000u))
      ->capture_default_str()
      ->type_name("M");
  app.add_option("--rate", raw.rate, "Messages a second over all senders (open loop), or max (closed loop)")->capture_default_str()->type_name("R");
  app.add_option("--size", raw.size, "Payload bytes, BYTES or MIN-MAX")->capture_default_str()->type_name("BYTES");
  app.add_option("--in-flight", out.in_flight, "Messages that each sender may have on their way (1; 4096 for publishers at a rate)")
      ->check(between(1u, 4096u))
      ->type_name("N");
  app.add_option("--duration", out.duration_s, "Seconds that are measured")->check(between(0.05, 1e6))->capture_default_str()->type_name("S");
  app.add_option("--warmup", out.warmup_s, "Seconds before that")->check(between(0.0, 1e6))->capture_default_str()->type_name("S");
  app.add_option("--ramp", out.ramp, "New connections a second; 0: as fast as they open")
      ->check(between(0.0, 1e6))
      ->capture_default_str()
      ->type_name("N");
  app.add_option("--threads", out.threads, "Threads over which the connections are spread")
      ->check(between(1u, 256u))
      ->capture_default_str()
      ->type_name("T");
  app.add_option("--processes", out.processes, "Processes; without it as many as the descriptor limit makes necessary")
      ->check(between(1u, 1024u))
      ->type_name("P");
  app.add_option("--source-addresses", raw.sources, "Local addresses to connect from: 127.0.0.1,127.0.0.2 or 127.0.0.1-8")->type_name("LIST");
  app.add_option("--cut", raw.cut, "resume: the share of the time that a member is away, or all: every member at once, and once")
      ->capture_default_str()
      ->type_name("SHARE");
  app.add_option("--cut-seconds", out.cut_s, "resume: how long a member is away, about")
      ->check(between(0.01, 3600.0))
      ->capture_default_str()
      ->type_name("S");
  app.add_option("--seed", out.seed, "resume: who is cut when")->capture_default_str()->type_name("N");
  app.add_option("--order", raw.order, "What is one order: the messages of each sender, or total: of all senders, for all who hear")
      ->capture_default_str()
      ->type_name("KIND");
  app.add_flag("--sse", out.event_streams, "broadcast, resume: those that do not send are event streams (server-sent events)");
  app.add_flag("--ended-by-server", out.ended_by_server,
               "reconnect-storm: hold the connections for --duration; those that the server ends come back at once");
  app.add_flag("--no-self", raw.no_self, "The server does not send a message back to its sender (broadcast, chat)");
  app.add_flag("--compression", out.to.compression, "Offer permessage-deflate");
  app.add_flag("--tls-insecure", out.to.tls_insecure, "wss://: accept any certificate");
  app.add_option("--tls-ca", out.to.tls_ca_file, "wss://: PEM file of authorities to trust, in place of the system's")->type_name("FILE");
  app.add_option("--subprotocol", out.to.subprotocols, "Subprotocol to offer; may be given several times")->type_name("NAME");
  app.add_option("--json", out.json_file, "Write the report as JSON")->type_name("FILE");
  app.add_option("--hgrm", out.hgrm_file, "Write the latency distribution for HdrHistogram's tools")->type_name("FILE");
  app.add_option("--max-rate-under", raw.bound, "Search the highest rate that keeps a bound, as in p99=5ms")->type_name("BOUND");
  app.add_option("--assert", raw.asserts, "Fail unless this holds, as in 'p99<5ms' or 'lost==0'; may be given several times")->type_name("EXPR");
  app.add_option("--server-pid", out.server_pid, "Measure CPU and memory of this process")->check(between(1, 1 << 30))->type_name("PID");
  app.add_flag_callback(
         "--print-man", [&app] { throw CLI::CallForVersion{man_page(app), 0}; }, "Print this as a manual page and exit")
      ->trigger_on_parse();
  constexpr std::size_t name_columns = 30;
  app.get_formatter()->column_width(name_columns);
  for (CLI::Option* const option : app.get_options()) option->description(in_lines(option->get_description(), 80 - name_columns));
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {
    app.exit(asked);
    return {.exit_code = 0};
  } catch (const CLI::ParseError& wrong) {
    std::fprintf(stderr, "%s\n", wrong.what());
    return {.exit_code = 2};
  }
  if (const std::string why = finish(raw, out); !why.empty()) {
    std::fprintf(stderr, "%s\n", why.c_str());
    return {.exit_code = 2};
  }
  return {.options = std::move(out)};
}

} // namespace ringcast::load
