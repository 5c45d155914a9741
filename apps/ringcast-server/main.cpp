// ringcast-server: the broadcast server. Options in, a server out; everything else is the library's.
#include "apps/ringcast-server/command_line.hpp"
#include "apps/ringcast-server/endpoints.hpp"
#include "apps/ringcast-server/option_texts.hpp"
#include <ringcast/log.hpp>
#include <ringcast/server.hpp>

#include <cstdio>
#include <string>
#include <unistd.h>
#include <vector>

namespace {

int refuse(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  return 2;
}

int say(const std::string& text) { return std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0 ? 1 : 0; }

} // namespace

int main(int argc, char** argv) {
  using namespace ringcast;
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const auto asked = read_command_line(arguments);
  if (!asked) return refuse(asked.error());
  if (asked->words.contains("help")) return say(help_text());
  if (asked->words.contains("version")) return say("ringcast-server " RINGCAST_VERSION "\n");
  if (asked->words.contains("print-options")) return say(options_in_markdown());

  environment_options environment = read_environment(environ);
  std::vector<given_option> given = std::move(environment.options);
  given.insert(given.end(), asked->options.begin(), asked->options.end());
  const auto options = settings_of(given);
  if (!options) return refuse(options.error());
  set_log_level(options->log_level);
  for (const std::string& remark : environment.remarks) log_line(log_level::warning, remark);
  server server{options->server};
  add_endpoints(server);
  return server.run();
}
