#include "apps/ringcast-server/top/top.hpp"

#include "apps/ringcast-server/top/admin_client.hpp"
#include "apps/ringcast-server/top/page.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <fmt/format.h>
#include <optional>
#include <poll.h>
#include <string>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include <utility>

namespace ringcast::top {

namespace {

constexpr std::size_t lines_by_default = 24; // where nobody says how many there are
constexpr std::size_t lines_printed = 50; // where the output is no terminal
constexpr std::size_t slowest_asked_for = 50; // more than a terminal has lines for
constexpr auto interval = std::chrono::seconds{1};

volatile std::sig_atomic_t ended_by_signal = 0;

double now_s() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

std::string time_of_day() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  std::array<char, 16> text{};
  const std::size_t bytes = ::localtime_r(&now, &local) != nullptr ? std::strftime(text.data(), text.size(), "%H:%M:%S", &local) : 0;
  return {text.data(), bytes};
}

std::expected<look, std::string> look_at(const admin_address& server) {
  const auto metrics = get(server, "/metrics");
  if (!metrics) return std::unexpected(metrics.error());
  const auto rooms = get(server, "/rooms");
  if (!rooms) return std::unexpected(rooms.error());
  const auto connections = get(server, fmt::format("/connections?limit={}", slowest_asked_for));
  if (!connections) return std::unexpected(connections.error());
  return look_of(now_s(), *metrics, *rooms, *connections);
}

void put(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
    if (written < 0 && errno != EINTR) return; // nobody is there to see it
    text.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(written, 0)));
  }
}

// The whole screen, with what stood there kept for afterwards (XTerm's alternate screen); keys come at once and are not shown.
class screen {
 public:
  screen() {
    keys_ = ::tcgetattr(STDIN_FILENO, &before_) == 0;
    if (keys_) {
      termios raw = before_;
      raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
      ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    put("\x1b[?1049h\x1b[?25l");
  }
  ~screen() {
    put("\x1b[?25h\x1b[?1049l");
    if (keys_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
  screen(const screen&) = delete;
  screen& operator=(const screen&) = delete;

  [[nodiscard]] static std::size_t lines() {
    winsize size{};
    return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 1 ? size.ws_row : lines_by_default;
  }
  // Over what stood there, line by line, so that nothing flickers. The last line has no line feed, which would move the page up.
  static void show(std::string_view page) {
    std::string out = "\x1b[H";
    while (!page.empty()) {
      const std::size_t end = std::min(page.find('\n'), page.size());
      out.append(page.substr(0, end)).append("\x1b[K");
      page.remove_prefix(std::min(end + 1, page.size()));
      if (!page.empty()) out += '\n';
    }
    put(out + "\x1b[J");
  }
  // False: it is to end, by q, Ctrl-D or a signal.
  [[nodiscard]] bool wait(std::chrono::steady_clock::time_point until) const {
    while (ended_by_signal == 0) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
      if (left <= 0) return true;
      pollfd key{keys_ ? STDIN_FILENO : -1, POLLIN, 0};
      if (::poll(&key, 1, static_cast<int>(left)) <= 0 || key.revents == 0) continue;
      char pressed = 0;
      if (::read(STDIN_FILENO, &pressed, 1) <= 0 || pressed == 'q' || pressed == 'Q' || pressed == 4) return false;
    }
    return false;
  }

 private:
  termios before_{};
  bool keys_ = false; // come from a terminal
};

void end_by_signals() {
  struct sigaction ends{};
  ends.sa_handler = [](int) { ended_by_signal = 1; };
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(signal, &ends, nullptr);
}

int watch(const admin_address& server) {
  end_by_signals();
  const screen terminal;
  std::optional<look> before;
  for (;;) {
    const auto next = std::chrono::steady_clock::now() + interval;
    auto now = look_at(server);
    if (now) {
      screen::show(page_text(server.text(), time_of_day(), before ? *before : *now, *now, screen::lines()));
      before = std::move(*now);
    } else {
      screen::show(fitted(fmt::format("{}  {}", time_of_day(), now.error()), page_columns) + "\ntrying again each second; q ends\n");
      before.reset();
    }
    if (!terminal.wait(next)) return 0;
  }
}

// Two looks, a second apart, because a rate needs them.
int print_once(const admin_address& server) {
  auto before = look_at(server);
  if (before) ::usleep(1'000'000);
  const auto now = before ? look_at(server) : before;
  if (!now) {
    std::fprintf(stderr, "%s\n", now.error().c_str());
    return 1;
  }
  put(page_text(server.text(), time_of_day(), *before, *now, lines_printed));
  return 0;
}

} // namespace

int run(int argc, char** argv) {
  CLI::App app{
      "What a running server does: rates, shards, rooms and the slowest connections, drawn again each second; q ends. Where the output is no "
      "terminal it is one page.",
      "ringcast-server top"};
  std::string url = "http://127.0.0.1:8080";
  app.add_option("--admin", url, "The server's address")->type_name("URL")->capture_default_str();
  std::string token_file;
  app.add_option("--token-file", token_file, "A token for what stands in front of it, as Authorization: Bearer")->type_name("FILE");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {
    return app.exit(asked);
  } catch (const CLI::ParseError& wrong) {
    std::fprintf(stderr, "%s\n", wrong.what());
    return 2;
  }
  auto server = admin_address::of(url);
  auto token = token_file.empty() ? std::expected<std::string, std::string>{} : admin_address::read_token(token_file);
  if (!server || !token) {
    std::fprintf(stderr, "%s\n", (server ? token.error() : server.error()).c_str());
    return 2;
  }
  server->token = std::move(*token);
  std::setlocale(LC_CTYPE, "C.UTF-8"); // how wide a character is
  return ::isatty(STDOUT_FILENO) == 1 ? watch(*server) : print_once(*server);
}

} // namespace ringcast::top
