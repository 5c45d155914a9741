#include "apps/ringcast-server/access_log.hpp"

#include <ringcast/events.hpp>
#include <ringcast/log.hpp>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <string_view>
#include <unistd.h>
#include <utility>

namespace ringcast {

namespace {

// Without O_NONBLOCK a named pipe that nobody reads would hold the start up.
int open_file(const std::string& path) { return ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0640); }

// As the log has it: local, with its zone.
std::string time_now() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::tm local{};
  std::array<char, 32> date{}, zone{};
  if (::localtime_r(&seconds, &local) == nullptr) return {};
  std::strftime(date.data(), date.size(), "%Y-%m-%dT%H:%M:%S", &local);
  std::strftime(zone.data(), zone.size(), "%z", &local); // +hhmm
  return fmt::format("{}.{:03}{}:{}", date.data(), ms, std::string_view{zone.data(), 3}, zone.data() + 3);
}

} // namespace

std::string access_line(const access_entry& entry, const std::string& time) {
  std::string line = fmt::format(R"({{"time":"{}","event":"{}","id":"{:016x}","address":)", time, name_of(entry.what), entry.id.value);
  append_json_string(line, entry.address);
  line += ",\"target\":";
  append_json_string(line, entry.target);
  line += fmt::format(R"(,"code":{},"ms":{})", entry.code, entry.duration_ms);
  if (entry.bytes_in) line += fmt::format(R"(,"bytes_in":{})", *entry.bytes_in);
  if (entry.bytes_out) line += fmt::format(R"(,"bytes_out":{})", *entry.bytes_out);
  return line + "}\n";
}

std::expected<std::unique_ptr<access_log>, std::string> access_log::open(const std::string& path) {
  const int file = open_file(path);
  if (file < 0) return std::unexpected(fmt::format("--access-log: cannot write {}: {}", path, std::strerror(errno)));
  return std::unique_ptr<access_log>{new access_log(path, file)};
}

access_log::access_log(std::string path, int file) : path_(std::move(path)), file_(file) {
  thread_ = std::thread{[this] {
    // Signals are for other threads.
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    pthread_setname_np(pthread_self(), "access-log");
    write_all();
  }};
}

access_log::~access_log() {
  {
    const std::scoped_lock locked{lock_};
    ends_ = true;
  }
  wakes_.notify_one();
  thread_.join();
  ::close(file_);
}

void access_log::take(const access_entry& entry) {
  std::string line = access_line(entry, time_now());
  {
    const std::scoped_lock locked{lock_};
    if (waiting_.size() >= lines_waiting_max) {
      ++dropped_;
      return;
    }
    waiting_.push_back(std::move(line));
  }
  wakes_.notify_one();
}

void access_log::reopen() {
  {
    const std::scoped_lock locked{lock_};
    reopen_ = true;
  }
  wakes_.notify_one();
}

std::uint64_t access_log::dropped() const {
  const std::scoped_lock locked{lock_};
  return dropped_;
}

// --- the writing thread ---

void access_log::write_all() {
  std::vector<std::string> lines;
  for (bool over = false; !over;) {
    bool again = false;
    {
      std::unique_lock locked{lock_};
      wakes_.wait(locked, [this] { return !waiting_.empty() || reopen_ || ends_; });
      lines.clear();
      lines.swap(waiting_);
      again = std::exchange(reopen_, false);
      over = ends_ && lines.empty();
    }
    write_some(lines);
    if (again) open_again();
    say_what_was_dropped();
  }
}

void access_log::write_some(const std::vector<std::string>& lines) {
  std::uint64_t lost = 0;
  for (const std::string& line : lines) lost += write_line(line) ? 0 : 1;
  if (lost == 0) return;
  const std::scoped_lock locked{lock_};
  dropped_ += lost;
}

// A disk that is full may take a part of a line. The next line that is written begins one of its own.
bool access_log::write_line(std::string_view line) {
  std::string with_end;
  if (cut_) line = with_end = fmt::format("\n{}", line);
  while (!line.empty()) {
    const ssize_t written = ::write(file_, line.data(), line.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    line.remove_prefix(static_cast<std::size_t>(written));
    cut_ = !line.empty();
  }
  return true;
}

void access_log::open_again() {
  const int file = open_file(path_);
  if (file < 0) {
    log_line(log_level::error,
             fmt::format("the access log cannot be opened again, and goes on in the file that it has: {}: {}", path_, std::strerror(errno)));
    return;
  }
  ::close(std::exchange(file_, file));
  cut_ = false;
  log_line(log_level::info, fmt::format("the access log was opened again: {}", path_));
}

void access_log::say_what_was_dropped() {
  const std::uint64_t all = dropped();
  if (all == told_) return;
  // At most once a second: what cannot be written is often said to a disk that is full, too.
  const auto now = std::chrono::steady_clock::now();
  if (now < next_told_) return;
  next_told_ = now + std::chrono::seconds{1};
  log_line(log_level::warning, fmt::format("{} lines of the access log were not written, {} since the start", all - std::exchange(told_, all), all));
}

} // namespace ringcast
