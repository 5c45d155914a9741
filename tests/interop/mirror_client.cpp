// A client for servers that nobody here wrote: it sends back each message that it receives, and tells each event as one line of JSON, so that
// the other end can compare. Lines on standard input make it act: `text WORDS`, `close CODE REASON`; their end stops it.
#include <ringcast/coroutine_client.hpp>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

using namespace ringcast;
using nlohmann::json;

namespace {

std::mutex print_lock;

void print(const json& line) {
  // A server may put anything into a reason or a subprotocol; what is no UTF-8 is replaced.
  const std::string text = line.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  const std::lock_guard lock(print_lock);
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

// Calls `text` and `close` for the lines of standard input, until its end.
template <class Text, class Close> void obey(Text text, Close close) {
  for (std::string line; std::getline(std::cin, line);) {
    if (line.starts_with("text ")) {
      text(line.substr(5));
    } else if (line.starts_with("close ")) {
      std::size_t end = 0;
      const int code = std::stoi(line.substr(6), &end);
      close(static_cast<std::uint16_t>(code), 6 + end < line.size() ? line.substr(7 + end) : std::string{});
    }
  }
}

void mirror_by_events(const std::string& url, const client_options& options) {
  client c{url, options};
  c.on_open([&] { print({{"event", "open"}, {"subprotocol", c.subprotocol()}}); });
  c.on_message([&](const message_view& m) {
    if (c.send(m.op, m.payload) != send_status::queued) print({{"event", "full"}});
  });
  c.on_error([](const client_error& e) {
    print({{"event", "error"}, {"kind", name_of(e.kind)}, {"text", std::string{e.text}}, {"status", e.http_status}, {"fatal", e.is_fatal}});
  });
  c.on_disconnected(
      [](std::uint16_t code, std::string_view reason) { print({{"event", "disconnected"}, {"code", code}, {"reason", std::string{reason}}}); });
  c.on_reconnecting([](unsigned attempt, std::chrono::milliseconds delay) {
    print({{"event", "reconnecting"}, {"attempt", attempt}, {"delay_ms", delay.count()}});
  });
  c.on_reconnected([&] { print({{"event", "reconnected"}, {"subprotocol", c.subprotocol()}}); });
  c.on_close([](std::uint16_t code, std::string_view reason, bool clean) {
    print({{"event", "close"}, {"code", code}, {"reason", std::string{reason}}, {"clean", clean}});
  });
  c.start();
  obey([&](const std::string& text) { c.send_text(text); }, [&](std::uint16_t code, const std::string& reason) { c.disconnect(code, reason); });
}

task<void> mirror(coroutine_client& c) {
  if (const auto open = co_await c.connect(); !open) {
    const client_end& end = open.error();
    co_return print({{"event", "close"}, {"code", end.code}, {"reason", end.reason}, {"status", end.http_status}});
  }
  print({{"event", "open"}, {"subprotocol", c.subprotocol()}});
  while (true) {
    const auto message = co_await c.receive();
    if (!message) co_return print({{"event", "close"}, {"code", message.error().code}, {"reason", message.error().reason}});
    if (co_await c.send(message->op, message->payload) != send_status::queued) print({{"event", "full"}});
  }
}

void mirror_by_coroutines(const std::string& url, const client_options& options) {
  client_loop loop;
  std::unique_ptr<coroutine_client> c;
  loop.run([&]() -> task<void> {
    c = std::make_unique<coroutine_client>(url, options);
    co_return;
  });
  loop.spawn([&]() -> task<void> { co_await mirror(*c); });
  obey([&](const std::string& text) { loop.run([&]() -> task<void> { (void)co_await c->send_text(text); }); },
       [&](std::uint16_t code, const std::string& reason) { loop.run([&]() -> task<void> { co_await c->close(code, reason); }); });
  loop.run([&]() -> task<void> {
    co_await c->close();
    c.reset();
  });
}

} // namespace

int main(int argc, char** argv) {
  CLI::App app{"sends back what it receives"};
  std::string url, face = "event";
  client_options options;
  options.message_bytes_max = options.queue_bytes_max = 64u << 20;
  options.reconnect = {.initial_delay = std::chrono::milliseconds{50}, .max_delay = std::chrono::milliseconds{200}};
  std::vector<std::string> headers;
  std::string compression = "shared";
  bool insecure = false;
  unsigned attempts = options.reconnect.max_attempts, connect_timeout_ms = 10'000;
  app.add_option("url", url)->required();
  app.add_option("--face", face)->check(CLI::IsMember({"event", "coroutine"}));
  app.add_option("--ca", options.tls.ca_file);
  app.add_option("--cert", options.tls.certificate_chain_file);
  app.add_option("--key", options.tls.certificate_key_file);
  app.add_option("--server-name", options.tls_server_name);
  app.add_option("--proxy", options.proxy);
  app.add_option("--subprotocol", options.subprotocols);
  app.add_option("--header", headers, "NAME: VALUE");
  app.add_option("--attempts", attempts);
  app.add_option("--connect-timeout-ms", connect_timeout_ms);
  app.add_option("--compression", compression)->check(CLI::IsMember({"off", "shared", "dedicated"}));
  app.add_option("--compression-threshold", options.compression.threshold_bytes);
  app.add_option("--compression-window-bits", options.compression.window_bits);
  app.add_flag("--insecure", insecure);
  CLI11_PARSE(app, argc, argv);
  if (insecure) options.tls.verification = tls_verification::off_and_insecure;
  options.compression.mode = compression == "off"      ? compression_mode::off
                             : compression == "shared" ? compression_mode::shared
                                                       : compression_mode::dedicated;
  options.reconnect.max_attempts = attempts;
  options.connect_timeout = std::chrono::milliseconds{connect_timeout_ms};
  for (const std::string& header : headers) {
    const std::size_t colon = header.find(": ");
    options.headers.emplace_back(header.substr(0, colon), header.substr(colon + 2));
  }
  try {
    if (face == "event")
      mirror_by_events(url, options);
    else
      mirror_by_coroutines(url, options);
  } catch (const std::exception& thrown) {
    std::fprintf(stderr, "%s\n", thrown.what());
    return 2;
  }
  return 0;
}
