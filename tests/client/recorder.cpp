#include "recorder.hpp"

#include <fmt/format.h>

namespace ringcast {

void recorder::listen_to(client& c) {
  c.on_open([this] { add("open"); });
  c.on_message([this](const message_view& m) { add(fmt::format("message {}", m.text())); });
  c.on_error([this](const client_error& e) {
    add(e.http_status != 0 ? fmt::format("error {} {} {}", name_of(e.kind), e.http_status, e.text)
                           : fmt::format("error {} {}", name_of(e.kind), e.text));
  });
  c.on_disconnected([this](std::uint16_t code, std::string_view reason) { add(fmt::format("disconnected {} {}", code, reason)); });
  c.on_close([this](std::uint16_t code, std::string_view reason, bool clean) {
    add(fmt::format("close {} {} {}", code, clean ? "clean" : "unclean", reason));
  });
  c.on_reconnecting([this](unsigned attempt, std::chrono::milliseconds delay) {
    {
      const std::lock_guard lock(lock_);
      last_delay_ = delay;
    }
    add(fmt::format("reconnecting {}", attempt));
  });
  c.on_reconnected([this] { add("reconnected"); });
}

void recorder::add(std::string line) {
  const std::lock_guard lock(lock_);
  lines_.push_back(std::move(line));
  changed_.notify_all();
}

std::size_t recorder::count_locked(const std::string& start) const {
  std::size_t found = 0;
  for (const std::string& line : lines_) found += line.starts_with(start) ? 1 : 0;
  return found;
}

bool recorder::wait_for(const std::string& start, std::size_t times, std::chrono::milliseconds timeout) {
  std::unique_lock lock(lock_);
  return changed_.wait_for(lock, timeout, [&] { return count_locked(start) >= times; });
}

std::vector<std::string> recorder::lines() const {
  const std::lock_guard lock(lock_);
  return lines_;
}

std::size_t recorder::count(const std::string& start) const {
  const std::lock_guard lock(lock_);
  return count_locked(start);
}

std::string recorder::story() const {
  std::string story;
  for (const std::string& line : lines()) {
    if (!story.empty()) story += " | ";
    if (line.starts_with("message"))
      story += line;
    else
      story += line.substr(0, line.find(' ', line.find(' ') + 1));
  }
  return story;
}

std::chrono::milliseconds recorder::last_delay() const {
  const std::lock_guard lock(lock_);
  return last_delay_;
}

} // namespace ringcast
