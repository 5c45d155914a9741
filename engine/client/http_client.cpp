// A few connections on a few threads: a request is a piece of work of a pool, and takes a connection that was kept, or makes one.
#include <ringcast/http_client.hpp>

#include "engine/base/log.hpp"
#include "engine/client/http_exchange.hpp"
#include <ringcast/run_on.hpp>
#include <ringcast/thread_pool.hpp>

#include <algorithm>
#include <exception>
#include <fmt/format.h>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace ringcast {

using namespace engine;

namespace {

using steady = std::chrono::steady_clock;

struct kept_exchange {
  std::unique_ptr<http_exchange> connection;
  steady::time_point used;
};

http_error stopped() { return {http_failure::stopped, "the client has ended"}; }
http_error busy() { return {http_failure::busy, "too many requests wait for a connection"}; }

} // namespace

std::string_view name_of(http_failure why) {
  switch (why) {
  case http_failure::busy: return "busy";
  case http_failure::timed_out: return "timed_out";
  case http_failure::stopped: return "stopped";
  case http_failure::unreachable: return "unreachable";
  case http_failure::certificate: return "certificate";
  case http_failure::tls: return "tls";
  case http_failure::lost: return "lost";
  case http_failure::not_http: return "not_http";
  case http_failure::too_large: return "too_large";
  }
  return "";
}

struct http_client::parts {
  parts(url to_whom, const http_client_options& given, std::shared_ptr<const tls_context> context)
      : to(std::move(to_whom)), options(given), tls(std::move(context)), ended(make_end_signal()),
        pool(std::in_place, thread_pool_options{.threads = std::max(given.connections, 1u), .queued_max = given.waiting_max}) {}
  ~parts() {
    give_end_signal(ended);
    pool.reset(); // all that runs ends, all that waits is let go of
    close_now(ended);
  }
  parts(const parts&) = delete;
  parts& operator=(const parts&) = delete;

  const url to;
  const http_client_options options;
  const std::shared_ptr<const tls_context> tls; // null: without
  const int ended;
  std::mutex lock;
  std::vector<kept_exchange> kept; // the last one was used last
  std::optional<thread_pool> pool;

  [[nodiscard]] std::string text_of(const http_message& what) const;
  [[nodiscard]] http_result exchange(const http_message& what, steady::time_point until);
  [[nodiscard]] http_result ask_anew(std::string_view text, bool is_head, const exchange_limits& limits);
  [[nodiscard]] std::unique_ptr<http_exchange> take_kept();
  void keep(std::unique_ptr<http_exchange> connection);
};

std::string http_client::parts::text_of(const http_message& what) const {
  std::string text = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n", what.method, what.target.empty() ? to.target : what.target,
                                 to.host_field(), what.body.size());
  if (!what.body.empty()) text += fmt::format("Content-Type: {}\r\n", what.content_type);
  if (const std::string basic = to.basic_authorization(); !basic.empty()) text += fmt::format("Authorization: {}\r\n", basic);
  return text.append(what.headers).append("\r\n").append(what.body);
}

http_result http_client::parts::exchange(const http_message& what, steady::time_point until) {
  const exchange_limits limits{.until = until, .ended = ended};
  if (steady::now() >= until) return std::unexpected(http_error{http_failure::timed_out, "no connection was free in time"});
  const std::string text = text_of(what);
  const bool is_head = what.method == "HEAD";
  if (auto connection = take_kept()) {
    http_result answer = connection->ask(text, is_head, options.answer_bytes_max, limits);
    const bool had_ended = !answer && answer.error().why == http_failure::lost && !connection->has_heard();
    if (answer) keep(std::move(connection));
    if (!had_ended || !what.is_repeatable) return answer;
  }
  return ask_anew(text, is_head, limits);
}

http_result http_client::parts::ask_anew(std::string_view text, bool is_head, const exchange_limits& limits) {
  auto connection = std::make_unique<http_exchange>();
  if (auto connected = connection->connect(to, tls, limits); !connected) return std::unexpected(connected.error());
  http_result answer = connection->ask(text, is_head, options.answer_bytes_max, limits);
  if (answer) keep(std::move(connection));
  return answer;
}

std::unique_ptr<http_exchange> http_client::parts::take_kept() {
  std::vector<kept_exchange> too_old; // closed without the lock
  const std::lock_guard held{lock};
  while (!kept.empty()) {
    kept_exchange last = std::move(kept.back());
    kept.pop_back();
    if (steady::now() - last.used < options.keep_alive && last.connection->can_be_used_again()) return std::move(last.connection);
    too_old.push_back(std::move(last));
  }
  return nullptr;
}

void http_client::parts::keep(std::unique_ptr<http_exchange> connection) {
  if (!connection->can_be_used_again()) return;
  const std::lock_guard held{lock};
  kept.push_back({std::move(connection), steady::now()});
}

std::expected<http_client, std::string> http_client::to(std::string_view address, const http_client_options& options) {
  auto parsed = parse_url(address);
  if (!parsed) return std::unexpected(std::string{parsed.error()});
  if (parsed->scheme != url_scheme::http && parsed->scheme != url_scheme::https) return std::unexpected("the URL is none of http:// and https://");
  std::shared_ptr<const tls_context> tls;
  if (parsed->is_tls()) {
    auto loaded = tls_context::shared_client(options.tls);
    if (!loaded) return std::unexpected(loaded.error());
    tls = std::move(*loaded);
  }
  return http_client{std::make_unique<parts>(std::move(*parsed), options, std::move(tls))};
}

http_client::http_client(std::unique_ptr<parts> made) : parts_(std::move(made)) {}
http_client::~http_client() = default;
http_client::http_client(http_client&&) noexcept = default;
http_client& http_client::operator=(http_client&&) noexcept = default;

task<http_result> http_client::send(http_message what, wait_limits limits) {
  parts& of = *parts_;
  const auto until = steady::now() + of.options.timeout;
  auto ended = co_await run_on(*of.pool, [&of, what = std::move(what), until] { return of.exchange(what, until); }, std::move(limits));
  if (ended) co_return std::move(*ended);
  switch (ended.error()) {
  case work_end::refused: co_return std::unexpected(busy());
  case work_end::stopped: co_return std::unexpected(http_error{http_failure::stopped, "the wait was stopped"});
  case work_end::timed_out: break;
  }
  co_return std::unexpected(http_error{http_failure::timed_out, "the deadline of the wait has passed"});
}

namespace {

// Tells once, also where the pool lets go of the work.
class answer_teller {
 public:
  explicit answer_teller(std::function<void(http_result)> to) : to_(std::move(to)) {}
  answer_teller(const answer_teller&) = delete;
  answer_teller& operator=(const answer_teller&) = delete;
  ~answer_teller() { tell(std::unexpected(stopped())); }

  void tell(http_result answer) noexcept {
    const auto to = std::exchange(to_, nullptr);
    if (!to) return;
    try {
      to(std::move(answer));
    } catch (const std::exception& thrown) {
      log_error("what takes an HTTP answer threw: {}", thrown.what());
    } catch (...) {
      log_error("what takes an HTTP answer threw something that is not a std::exception");
    }
  }

 private:
  std::function<void(http_result)> to_;
};

} // namespace

void http_client::send(http_message what, std::function<void(http_result)> on_answer) {
  parts& of = *parts_;
  const auto until = steady::now() + of.options.timeout;
  const auto teller = std::make_shared<answer_teller>(std::move(on_answer));
  if (!of.pool->submit([&of, what = std::move(what), until, teller] { teller->tell(of.exchange(what, until)); }))
    teller->tell(std::unexpected(busy()));
}

} // namespace ringcast
