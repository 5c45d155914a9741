// ringcast-server: the broadcast server. Options in, a server out; everything else is the library's.
#include "apps/ringcast-server/access_log.hpp"
#include "apps/ringcast-server/application.hpp"
#include "apps/ringcast-server/command_line.hpp"
#include "apps/ringcast-server/config_file.hpp"
#include "apps/ringcast-server/endpoints.hpp"
#include "apps/ringcast-server/man_page.hpp"
#include "apps/ringcast-server/option_texts.hpp"
#include "apps/ringcast-server/reload.hpp"
#include "apps/ringcast-server/token_gate.hpp"
#include "apps/ringcast-server/top/top.hpp"
#include <ringcast/log.hpp>
#include <ringcast/server.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <expected>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <unistd.h>
#include <vector>

namespace {

using namespace ringcast;

int refuse(const std::string& why, int exit_code) {
  std::fprintf(stderr, "%s\n", why.c_str());
  return exit_code;
}

int say(const std::string& text) { return std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0 ? 1 : 0; }

// Empty: no table says who may join or publish.
std::vector<room_rights> rights_of(const std::vector<room_entry>& rooms) {
  std::vector<room_rights> all;
  if (std::ranges::any_of(rooms, [](const room_entry& each) { return each.join || each.publish; }))
    for (const room_entry& each : rooms) all.push_back(each.rights());
  return all;
}

// The command line wins over the environment, and that over the file, if there is one.
std::expected<settings, std::string> all_settings(const std::optional<std::string>& file, const environment_options& environment,
                                                  const command_line& line, std::vector<room_entry>& rooms) {
  std::vector<given_option> given;
  rooms.clear();
  if (file) {
    auto read = read_config_file(*file, &rooms);
    if (!read) return std::unexpected(read.error());
    given = std::move(*read);
  }
  given.insert(given.end(), environment.options.begin(), environment.options.end());
  given.insert(given.end(), line.options.begin(), line.options.end());
  auto all = settings_of(given);
  if (!all) return all;
  if (all->application.is_asked() && !rights_of(rooms).empty())
    return std::unexpected("--authorize-url says who may join and publish: join and publish of [[room]] do not go with it");
  if (const auto checked = check_rights(rights_of(rooms), all->tokens.names_users()); !checked) return std::unexpected(checked.error());
  return all;
}

void reload(token_gate& gate) {
  if (const auto loaded = gate.load(); loaded)
    log_line(log_level::info, "the keys of tokens were read again");
  else
    log_line(log_level::error, "the keys of tokens stay as they were: " + loaded.error());
}

// At SIGHUP. What is wrong changes nothing.
void reload(server& server, settings& running, const std::expected<settings, std::string>& wanted) {
  if (!wanted) return log_line(log_level::error, fmt::format("SIGHUP changed no option: {}", wanted.error()));
  const option_changes changes = take_changes(running, *wanted);
  set_log_level(running.log_level);
  if (const auto changed = server.change(running.server); !changed) return log_line(log_level::error, changed.error());
  log_line(log_level::info, changes.taken.empty() ? "SIGHUP: no option has changed" : fmt::format("SIGHUP: {}", fmt::join(changes.taken, ", ")));
  if (!changes.refused.empty()) log_line(log_level::warning, fmt::format("SIGHUP: only a new start changes {}", fmt::join(changes.refused, ", ")));
}

std::function<std::uint64_t()> lines_dropped_of(const access_log* log) {
  if (log == nullptr) return {};
  return [log] { return log->dropped(); };
}

bool is_same_table(const room_entry& a, const room_entry& b) {
  const auto bounds = [](const std::optional<history_options>& h) {
    return h ? std::optional{std::tuple{h->messages, h->bytes, h->seconds}} : std::nullopt;
  };
  return std::tie(a.pattern, a.policy, a.send_queue_bytes_max, a.message_bytes_max, a.members_max, a.presence, a.messages, a.cluster, a.join,
                  a.publish) == std::tie(b.pattern, b.policy, b.send_queue_bytes_max, b.message_bytes_max, b.members_max, b.presence, b.messages,
                                         b.cluster, b.join, b.publish) &&
         bounds(a.history) == bounds(b.history);
}

} // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view{argv[1]} == "top") return top::run(argc - 1, argv + 1);
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const auto asked = read_command_line(arguments);
  if (!asked) return refuse(asked.error(), 2);
  if (asked->words.contains("help")) return say(help_text());
  if (asked->words.contains("version")) return say("ringcast-server " RINGCAST_VERSION "\n");
  if (asked->words.contains("print-config")) return say(example_file());
  if (asked->words.contains("print-options")) return say(options_in_markdown());
  if (asked->words.contains("print-man")) return say(man_page(RINGCAST_VERSION));

  const environment_options environment = read_environment(environ);
  if (const auto file = asked->words.find("check-config"); file != asked->words.end()) {
    std::vector<room_entry> rooms;
    const auto checked = all_settings(file->second, environment, *asked, rooms);
    return checked ? say(file->second + ": nothing is wrong\n") : refuse(checked.error(), 1);
  }
  const auto file = asked->words.find("config");
  const auto read_options = [&, path = file != asked->words.end() ? std::optional{file->second} : std::nullopt](std::vector<room_entry>& rooms) {
    return all_settings(path, environment, *asked, rooms);
  };
  std::vector<room_entry> rooms;
  auto options = read_options(rooms);
  if (!options) return refuse(options.error(), 2);
  set_log_level(options->log_level);
  set_log_format(options->log_format);
  for (const std::string& remark : environment.remarks) log_line(log_level::warning, remark);
  std::shared_ptr<token_gate> gate;
  const std::vector<room_rights> rights = rights_of(rooms);
  if (options->tokens.names_users() || !rights.empty()) {
    gate = std::make_shared<token_gate>(options->tokens, rights);
    if (const auto loaded = gate->load(); !loaded) return refuse("keys of tokens: " + loaded.error(), 2);
  }
  std::unique_ptr<access_log> access; // outlives the server, which tells it
  if (!options->access_log.empty()) {
    auto opened = access_log::open(options->access_log);
    if (!opened) return refuse(opened.error(), 2);
    access = std::move(*opened);
    options->server.on_access = [&to = *access](const access_entry& entry) { to.take(entry); };
    options->server.on_reopen = [&to = *access] { to.reopen(); };
  }
  auto application = application::open(options->application);
  if (!application) return refuse(application.error(), 2);
  server server{options->server};
  for (const room_entry& each : rooms) server.rooms_like(each.pattern, each.rules());
  add_endpoints(server, {.by = {.gate = gate, .application = application->gate, .ledger = application->ledger.get()},
                         .admin_apart = !options->server.listen_admin.empty(),
                         .base_path = options->base_path,
                         .access_lines_dropped = lines_dropped_of(access.get())});
  server.on_reload([&] {
    std::vector<room_entry> wanted;
    const auto read = read_options(wanted);
    reload(server, *options, read);
    if (read && !std::ranges::equal(rooms, wanted, is_same_table)) log_line(log_level::warning, "SIGHUP: only a new start changes [[room]]");
  });
  if (options->tokens.is_on()) server.on_reload([gate] { reload(*gate); });
  application->reload_with(server);
  return server.run();
}
