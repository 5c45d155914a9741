#include "engine/base/log.hpp"

#include "engine/base/log_json.hpp"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <forward_list>
#include <memory>
#include <mutex>
#include <poll.h>
#include <pthread.h>
#include <spdlog/async.h>
#include <spdlog/details/null_mutex.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace ringcast {

using namespace engine;

namespace {

// Lines that wait for whoever reads standard error: the last seconds of a busy server at `debug`. Above it the oldest go.
constexpr std::size_t lines_waiting_max = 1024;
// At the end of the process: how long lines may take to be written. A reader that reads takes microseconds for them.
constexpr std::chrono::milliseconds end_wait{500};
constexpr const char* text_pattern = "%Y-%m-%dT%H:%M:%S.%e%z %l %v";
// What stands in front of the message, which is put there as a JSON string.
constexpr const char* json_pattern = R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l","message":)";

std::atomic<log_format> chosen_format{log_format::text};

spdlog::level::level_enum spdlog_level(log_level level) {
  switch (level) {
  case log_level::debug: return spdlog::level::debug;
  case log_level::info: return spdlog::level::info;
  case log_level::warning: return spdlog::level::warn;
  case log_level::error: return spdlog::level::err;
  case log_level::off: return spdlog::level::off;
  }
  return spdlog::level::info;
}

// Standard error, on the one thread that may wait for it. Whoever is not there to read any more (EPIPE) misses the line.
class standard_error_sink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  void counts_lost_lines_of(spdlog::details::thread_pool& queue) { queue_ = &queue; }
  [[nodiscard]] std::uint64_t lines_taken() const { return taken_.load(std::memory_order_acquire); }

 protected:
  void sink_it_(const spdlog::details::log_msg& line) override {
    if (const std::size_t lost = queue_->overrun_counter(); lost != lost_told_) {
      const std::string told = fmt::format("{} lines not written, since standard error did not take them", lost - lost_told_);
      lost_told_ = lost;
      if (is_json())
        write_line(spdlog::details::log_msg{{}, spdlog::level::warn, told});
      else
        write_all(told + "\n");
    }
    write_line(line);
    taken_.fetch_add(1, std::memory_order_release);
  }
  void flush_() override {}

 private:
  static bool is_json() { return chosen_format.load(std::memory_order_relaxed) == log_format::json; }
  void write_line(const spdlog::details::log_msg& line) {
    spdlog::memory_buf_t begin;
    if (!is_json()) {
      formatter_->format(line, begin);
      return write_all({begin.data(), begin.size()});
    }
    json_begin_.format(line, begin);
    std::string text{begin.data(), begin.size()};
    append_any_json_string(text, {line.payload.data(), line.payload.size()});
    write_all(text + "}\n");
  }
  static void write_all(std::string_view text) {
    while (!text.empty()) {
      const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
      if (written > 0) {
        text.remove_prefix(static_cast<std::size_t>(written));
      } else if (errno == EAGAIN) {
        pollfd waited{STDERR_FILENO, POLLOUT, 0};
        (void)::poll(&waited, 1, -1);
      } else if (errno != EINTR) {
        return;
      }
    }
  }

  spdlog::pattern_formatter json_begin_{json_pattern, spdlog::pattern_time_type::local, {}};
  spdlog::details::thread_pool* queue_ = nullptr;
  std::size_t lost_told_ = 0;
  std::atomic<std::uint64_t> taken_{0};
};

// The queue, the thread that writes and what it writes to. Never destroyed: the thread may be waiting for a reader when the process ends,
// and then it ends with it.
struct writer {
  std::shared_ptr<spdlog::details::thread_pool> queue;
  std::shared_ptr<standard_error_sink> sink = std::make_shared<standard_error_sink>();
  std::shared_ptr<spdlog::logger> lines;
  std::atomic<std::uint64_t> said{0};

  writer() {
    try {
      queue = std::make_shared<spdlog::details::thread_pool>(lines_waiting_max, 1, [] {
        // Signals are for other threads.
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, nullptr);
        pthread_setname_np(pthread_self(), "log");
      });
      sink->counts_lost_lines_of(*queue);
      lines = std::make_shared<spdlog::async_logger>("ringcast", sink, queue, spdlog::async_overflow_policy::overrun_oldest);
    } catch (const std::exception&) {
      // There can be no more threads, so there will be no server; what is said about that goes the direct way.
    }
    if (lines == nullptr) return;
    lines->set_level(spdlog::level::trace); // is_logged() decides
    lines->set_pattern(text_pattern);
    std::atexit([] { (void)flush_log(end_wait); });
  }
};

writer& the_writer() {
  static writer& made = *new writer;
  return made;
}

std::atomic<const log_taker*> taker{nullptr};

// Every taker there was. The one before may be in use on another thread, so none ends before the process does.
struct takers {
  std::mutex lock;
  std::forward_list<log_taker> all;
};

takers& the_takers() {
  static takers& made = *new takers;
  return made;
}

} // namespace

std::expected<log_level, std::string> parse_log_level(std::string_view text) {
  if (text == "debug") return log_level::debug;
  if (text == "info") return log_level::info;
  if (text == "warning" || text == "warn") return log_level::warning;
  if (text == "error") return log_level::error;
  if (text == "off") return log_level::off;
  return std::unexpected(fmt::format("'{}' is not a log level; it is one of debug, info, warning, error, off", text));
}

namespace {
std::atomic<log_level> least{log_level::info};
} // namespace

std::expected<log_format, std::string> parse_log_format(std::string_view text) {
  if (text == "text") return log_format::text;
  if (text == "json") return log_format::json;
  return std::unexpected(fmt::format("'{}' is not a format of the log; it is one of text, json", text));
}

void set_log_format(log_format format) { chosen_format.store(format, std::memory_order_relaxed); }
void set_log_level(log_level level) { least.store(level, std::memory_order_relaxed); }
bool is_logged(log_level level) { return level >= least.load(std::memory_order_relaxed) && level != log_level::off; }

void set_log_taker(log_taker given) {
  takers& kept = the_takers();
  const std::scoped_lock locked{kept.lock};
  taker.store(given ? &kept.all.emplace_front(std::move(given)) : nullptr, std::memory_order_release);
}

void log_line(log_level level, std::string_view text) {
  if (!is_logged(level)) return;
  if (const log_taker* const own = taker.load(std::memory_order_acquire)) return (*own)(level, text);
  writer& to = the_writer();
  if (to.lines == nullptr) {
    const auto name = spdlog::level::to_string_view(spdlog_level(level));
    std::fprintf(stderr, "%.*s %.*s\n", static_cast<int>(name.size()), name.data(), static_cast<int>(text.size()), text.data());
    return;
  }
  to.said.fetch_add(1, std::memory_order_relaxed);
  to.lines->log(spdlog_level(level), text);
}

std::uint64_t dropped_log_lines() {
  const writer& from = the_writer();
  return from.queue == nullptr ? 0 : from.queue->overrun_counter();
}

bool flush_log(std::chrono::milliseconds most) {
  const writer& from = the_writer();
  if (from.lines == nullptr) return true;
  const auto until = std::chrono::steady_clock::now() + most;
  while (from.sink->lines_taken() + from.queue->overrun_counter() < from.said.load(std::memory_order_relaxed)) {
    if (std::chrono::steady_clock::now() >= until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
  }
  return true;
}

} // namespace ringcast
