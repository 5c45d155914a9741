#include "engine/io/resolver.hpp"

#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <netdb.h>
#include <pthread.h>
#include <thread>
#include <utility>

namespace ringcast::engine {

namespace {

using question = std::pair<std::string, std::uint16_t>;

resolved_name look_up(const question& asked) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int failed = getaddrinfo(asked.first.c_str(), std::to_string(asked.second).c_str(), &hints, &found);
  resolved_name answer;
  if (failed != 0) {
    answer.error = "no address for '" + asked.first + "': " + (failed == EAI_SYSTEM ? std::strerror(errno) : gai_strerror(failed));
    return answer;
  }
  // The system's order within a family is kept (RFC 6724); the families take turns, so that a broken one costs one try.
  std::deque<socket_address> first, second;
  int first_family = AF_UNSPEC;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    if (one->ai_family != AF_INET && one->ai_family != AF_INET6) continue;
    if (first_family == AF_UNSPEC) first_family = one->ai_family;
    socket_address address;
    std::memcpy(&address.storage, one->ai_addr, one->ai_addrlen);
    address.bytes = one->ai_addrlen;
    (one->ai_family == first_family ? first : second).push_back(address);
  }
  freeaddrinfo(found);
  while (!first.empty() || !second.empty()) {
    for (auto* family : {&first, &second}) {
      if (family->empty()) continue;
      answer.addresses.push_back(family->front());
      family->pop_front();
    }
  }
  if (answer.addresses.empty()) answer.error = "no IPv4 or IPv6 address for '" + asked.first + "'";
  return answer;
}

// Lives as long as the process: a lookup that hangs must not hold up its end.
class resolver_threads {
 public:
  void ask(question asked, std::function<void(const resolved_name&)> on_answer) {
    const std::lock_guard lock(lock_);
    auto& waiting = waiting_[asked];
    waiting.push_back(std::move(on_answer));
    if (waiting.size() > 1) return;
    queue_.push_back(std::move(asked));
    if (idle_ == 0 && threads_ < threads_max) {
      ++threads_;
      std::thread([this] { serve(); }).detach();
    }
    wake_.notify_one();
  }

 private:
  static constexpr unsigned threads_max = 4;

  void serve() {
    pthread_setname_np(pthread_self(), "resolver");
    std::unique_lock lock(lock_);
    while (true) {
      ++idle_;
      wake_.wait(lock, [this] { return !queue_.empty(); });
      --idle_;
      const question asked = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      const resolved_name answer = look_up(asked);
      lock.lock();
      const auto waiting = waiting_.extract(asked);
      lock.unlock();
      for (const auto& on_answer : waiting.mapped()) on_answer(answer);
      lock.lock();
    }
  }

  std::mutex lock_;
  std::condition_variable wake_;
  std::deque<question> queue_;
  std::map<question, std::vector<std::function<void(const resolved_name&)>>> waiting_;
  unsigned threads_ = 0, idle_ = 0;
};

} // namespace

void resolve(std::string host, std::uint16_t port, std::function<void(const resolved_name&)> on_answer) {
  static resolver_threads& threads = *new resolver_threads;
  threads.ask({std::move(host), port}, std::move(on_answer));
}

} // namespace ringcast::engine
