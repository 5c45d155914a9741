// The file of --access-log: a JSON object a line for each request, and for each WebSocket or event stream when it opens and when it closes. Lines are
// written by a thread of its own; a file that takes none keeps nobody waiting.
#pragma once

#include <ringcast/access.hpp>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace ringcast {

[[nodiscard]] std::string access_line(const access_entry& entry, const std::string& time);

class access_log {
 public:
  // Beyond these the newest are dropped: at 100,000 lines a second, what a disk may take 0.1 s for.
  static constexpr std::size_t lines_waiting_max = 8192;

  // The error is one sentence.
  [[nodiscard]] static std::expected<std::unique_ptr<access_log>, std::string> open(const std::string& path);
  ~access_log(); // what waits is written first
  access_log(const access_log&) = delete;
  access_log& operator=(const access_log&) = delete;

  // Any thread; none of these waits for the file.
  void take(const access_entry& entry);
  void reopen(); // what is taken from now on goes into the file that has the name then
  [[nodiscard]] std::uint64_t dropped() const;

 private:
  access_log(std::string path, int file);
  void write_all();
  void write_some(const std::vector<std::string>& lines);
  [[nodiscard]] bool write_line(std::string_view line);
  void open_again();
  void say_what_was_dropped();

  const std::string path_;
  int file_; // of the writing thread
  bool cut_ = false; // the last line has no end
  std::uint64_t told_ = 0; // of what was dropped
  std::chrono::steady_clock::time_point next_told_{}; // not before

  mutable std::mutex lock_;
  std::condition_variable wakes_;
  std::vector<std::string> waiting_;
  bool reopen_ = false, ends_ = false;
  std::uint64_t dropped_ = 0;
  std::thread thread_;
};

} // namespace ringcast
