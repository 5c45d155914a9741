// ringcast-server: the broadcast server. Options in, a server out; everything else is the library's.
#include "apps/ringcast-server/access_log.hpp"
#include "apps/ringcast-server/endpoints.hpp"
#include "apps/ringcast-server/top/top.hpp"
#include <ringcast/log.hpp>
#include <ringcast/server.hpp>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

// More descriptors than any kernel gives a process.
constexpr unsigned connections_most = 1u << 30;

struct settings {
  ringcast::server_options server;
  std::string shards = "auto";
  std::string log_level = "info";
  std::string log_format = "text";
  std::string access_log;
};

// The options as they are on the command line; a bad one ends with one sentence and exit code 2.
int parse(int argc, char** argv, settings& out) {
  CLI::App app{"A WebSocket broadcast server on io_uring.", "ringcast-server"};
  app.footer("ringcast-server top: what a running server does, drawn again each second (ringcast-server top --help).");
  app.set_version_flag("--version", std::string{"ringcast-server "} + RINGCAST_VERSION);
  app.add_option("--listen", out.server.listen, "ADDRESS:PORT to listen on; may be given several times")
      ->type_name("ADDR:PORT")
      ->capture_default_str();
  app.add_option("--listen-tls", out.server.listen_tls,
                 "ADDRESS:PORT for https:// and wss://; may be given several times. Then --listen has no default")
      ->type_name("ADDR:PORT");
  std::vector<std::string> certificates, keys;
  app.add_option("--tls-cert", certificates, "PEM file: the certificate, then its intermediates; several are chosen from by host name")
      ->type_name("FILE");
  app.add_option("--tls-key", keys, "PEM file: the key of the certificate at the same place")->type_name("FILE");
  app.add_option("--tls-client-ca", out.server.tls.client_ca_file, "PEM file: each client must present a certificate signed by one of these")
      ->type_name("FILE");
  app.add_option("--shards", out.shards, "Threads, each with its own core: a number, or auto for one a core")->capture_default_str();
  app.add_option("--max-message-bytes", out.server.limits.message_bytes_max, "The largest message; larger ones close with 1009")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 30))
      ->capture_default_str();
  app.add_option("--send-queue-bytes", out.server.limits.send_queue_bytes_max, "How far a member of a room may be behind")
      ->check(CLI::Range(std::uint64_t{1024}, std::uint64_t{1} << 30))
      ->capture_default_str();
  app.add_option("--memory-bytes", out.server.memory_bytes,
                 "What all shards together may hold for their peers; above it those that hold the most are ended with 1013 or 503")
      ->check(CLI::Range(std::uint64_t{1} << 20, std::uint64_t{1} << 50))
      ->default_str("half of the machine's memory");
  app.add_option("--max-connections", out.server.max_connections, "Connections of the whole server, 503 beyond; 0: no bound")
      ->check(CLI::Range(0u, connections_most))
      ->capture_default_str();
  app.add_option("--max-connections-per-ip", out.server.max_connections_per_ip,
                 "Connections from one IPv4 address or one IPv6 network of 64 bits, 503 beyond; 0: no bound")
      ->check(CLI::Range(0u, connections_most))
      ->capture_default_str();
  app.add_option("--allowed-origin", out.server.allowed_origins,
                 "A page's origin, like https://example.org: browsers may connect from such pages only; may be given "
                 "several times")
      ->type_name("ORIGIN");
  // In seconds here, since nobody wants a finer one; the limits are in milliseconds.
  const auto seconds = [&](const char* name, std::uint32_t& limit_ms, unsigned least, const char* what) {
    return app.add_option_function<unsigned>(
                  name, [&limit_ms](unsigned given) { limit_ms = given * 1000; }, what)
        ->check(CLI::Range(least, 86'400u))
        ->default_str(std::to_string(limit_ms / 1000));
  };
  seconds("--ping-interval-s", out.server.limits.ping_interval_ms, 0, "A peer that was silent this long is sent a ping; 0: never");
  seconds("--pong-timeout-s", out.server.limits.pong_timeout_ms, 1, "Silence after that ping that ends the connection");
  seconds("--idle-timeout-s", out.server.limits.idle_timeout_ms, 0, "A peer that sent no message this long is closed with 1001; 0: never");
  seconds("--close-timeout-s", out.server.limits.close_timeout_ms, 1,
          "From our Close frame to the peer's; at SIGTERM also how long what is queued may take to be sent before it");
  const std::map<std::string, ringcast::slow_consumer> policies{{"close", ringcast::slow_consumer::close},
                                                                {"drop-newest", ringcast::slow_consumer::drop_newest},
                                                                {"drop-oldest", ringcast::slow_consumer::drop_oldest},
                                                                {"latest", ringcast::slow_consumer::latest}};
  std::string policy = "close";
  app.add_option("--slow-consumer", policy, "What happens to a member that is further behind: close, drop-newest, drop-oldest or latest")
      ->capture_default_str();
  app.add_option("--presence-members", out.server.presence.members_max, "In a room with more members users are counted, not told one by one")
      ->capture_default_str();
  seconds("--presence-delay-s", out.server.presence.delay_ms, 0, "A user that has gone is told as gone so much later, unless it is back by then");
  app.add_option("--history-messages", out.server.history.messages, "Each room keeps its last so many messages; 0: no bound by number")
      ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{1} << 40))
      ->capture_default_str();
  app.add_option("--history-bytes", out.server.history.bytes, "Each room keeps its last so many bytes of messages; 0: no bound by size")
      ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{1} << 40))
      ->capture_default_str();
  app.add_option("--history-seconds", out.server.history.seconds, "Each room keeps what was said in the last so many seconds; 0: no bound by age")
      ->check(CLI::Range(0u, 31'536'000u))
      ->capture_default_str();
  app.add_option("--history-total-bytes", out.server.history.total_bytes, "What all rooms together may keep; beyond it the oldest goes first")
      ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{1} << 40))
      ->capture_default_str();
  const std::map<std::string, ringcast::compression_mode> compressions{
      {"off", ringcast::compression_mode::off}, {"shared", ringcast::compression_mode::shared}, {"dedicated", ringcast::compression_mode::dedicated}};
  std::string compression = "shared", compression_level = "auto", compression_threshold = "auto";
  app.add_option("--compression", compression,
                 "permessage-deflate: off, shared (each message by itself) or dedicated (memory for each connection, fewer bytes)")
      ->capture_default_str();
  app.add_option("--compression-level", compression_level, "0 (fast) to 3 (small), or auto: 0 to one connection, 1 to a room")
      ->type_name("LEVEL")
      ->capture_default_str();
  app.add_option("--compression-threshold", compression_threshold, "Bytes below which nothing is compressed, or auto: 256; 64 with dedicated")
      ->type_name("BYTES")
      ->capture_default_str();
  app.add_option("--compression-window-bits", out.server.compression.window_bits,
                 "How far back compressed bytes may refer: 8 to 15, as a power of two")
      ->check(CLI::Range(8u, 15u))
      ->capture_default_str();
  app.add_option("--coalesce-wait-us", out.server.coalesce_wait_us, "The longest wait for more messages under load; 0: never")
      ->check(CLI::Range(0u, 10'000u))
      ->capture_default_str();
  app.add_option("--spin-us", out.server.spin_us, "How long a busy shard looks for more to do before it sleeps; 0: not at all")
      ->check(CLI::Range(0u, 1'000u))
      ->capture_default_str();
  app.add_option("--access-log", out.access_log,
                 "A JSON line for each request, and for each WebSocket when it opens and closes; SIGUSR1 opens the file again")
      ->type_name("FILE");
  app.add_option("--log-format", out.log_format, "text or json: an object a line")->capture_default_str();
  app.add_option("--log-level", out.log_level, "debug, info, warning, error or off")->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {
    app.exit(asked);
    return 0;
  } catch (const CLI::ParseError& wrong) {
    std::fprintf(stderr, "%s\n", wrong.what());
    return 2;
  }
  const auto refuse = [](const std::string& why) {
    std::fprintf(stderr, "%s\n", why.c_str());
    return 2;
  };
  for (const std::string& origin : out.server.allowed_origins)
    if (const auto checked = ringcast::check_origin(origin); !checked) return refuse("--allowed-origin: " + checked.error());
  if (certificates.size() != keys.size()) return refuse("--tls-cert and --tls-key come in pairs");
  if (out.server.listen_tls.empty() != certificates.empty()) return refuse("--listen-tls, --tls-cert and --tls-key are given together");
  for (std::size_t i = 0; i < certificates.size(); ++i)
    out.server.tls.certificates.push_back({.chain_file = certificates[i], .key_file = keys[i], .host_names = {}});
  if (!out.server.listen_tls.empty() && app.count("--listen") == 0) out.server.listen.clear();
  const auto chosen = policies.find(policy);
  if (chosen == policies.end()) return refuse("--slow-consumer: '" + policy + "' is not one of close, drop-newest, drop-oldest, latest");
  out.server.policy = chosen->second;
  const auto chosen_compression = compressions.find(compression);
  if (chosen_compression == compressions.end()) return refuse("--compression: '" + compression + "' is not one of off, shared, dedicated");
  out.server.compression.mode = chosen_compression->second;
  const auto is_number = [](const std::string& text, std::size_t digits_max) {
    return !text.empty() && text.size() <= digits_max && text.find_first_not_of("0123456789") == std::string::npos;
  };
  if (compression_level != "auto") {
    if (!is_number(compression_level, 1) || std::stoul(compression_level) > ringcast::compression_level_max)
      return refuse("--compression-level: '" + compression_level + "' is not 0 to 3 or auto");
    out.server.compression.level = static_cast<unsigned>(std::stoul(compression_level));
  }
  if (compression_threshold != "auto") {
    if (!is_number(compression_threshold, 9))
      return refuse("--compression-threshold: '" + compression_threshold + "' is not a number of bytes or auto");
    out.server.compression.threshold_bytes = std::stoul(compression_threshold);
  }
  if (out.shards != "auto") {
    if (out.shards.empty() || out.shards.size() > 3 || out.shards.find_first_not_of("0123456789") != std::string::npos || std::stoi(out.shards) < 1)
      return refuse("--shards: '" + out.shards + "' is not a number of threads or auto");
    out.server.shards = static_cast<std::uint32_t>(std::stoi(out.shards));
  }
  const auto level = ringcast::parse_log_level(out.log_level);
  if (!level) return refuse("--log-level: " + level.error());
  ringcast::set_log_level(*level);
  const auto format = ringcast::parse_log_format(out.log_format);
  if (!format) return refuse("--log-format: " + format.error());
  ringcast::set_log_format(*format);
  return -1;
}

} // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view{argv[1]} == "top") return ringcast::top::run(argc - 1, argv + 1);
  settings options;
  if (const int code = parse(argc, argv, options); code >= 0) return code;
  std::unique_ptr<ringcast::access_log> access; // outlives the server, which tells it
  if (!options.access_log.empty()) {
    auto opened = ringcast::access_log::open(options.access_log);
    if (!opened) {
      std::fprintf(stderr, "%s\n", opened.error().c_str());
      return 2;
    }
    access = std::move(*opened);
    options.server.on_access = [&to = *access](const ringcast::access_entry& entry) { to.take(entry); };
    options.server.on_reopen = [&to = *access] { to.reopen(); };
  }
  ringcast::server server{options.server};
  ringcast::add_endpoints(server);
  return server.run();
}
