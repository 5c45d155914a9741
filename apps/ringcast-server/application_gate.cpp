#include "apps/ringcast-server/application_gate.hpp"

#include "apps/ringcast-server/strict_json.hpp"
#include <ringcast/hmac.hpp>
#include <ringcast/log.hpp>

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <random>
#include <span>

namespace ringcast {

namespace {

// Who was refused may have paid, or logged in, a moment later; it is kept to meet those who come back at once, again and again.
constexpr std::chrono::seconds refusal_kept{1};

application_verdict refused(http_status status, std::string_view why) { return {.status = status, .why = why, .claims = {}}; }

std::string_view name_of(token_right right) {
  switch (right) {
  case token_right::any: return "connect";
  case token_right::join: return "join";
  case token_right::publish: return "publish";
  }
  return "";
}

std::array<std::byte, 32> random_secret() {
  std::random_device from; // getrandom(2)
  std::array<std::byte, 32> made{};
  for (std::byte& each : made) each = static_cast<std::byte>(from());
  return made;
}

std::int64_t seconds_now() {
  using namespace std::chrono;
  return duration_cast<seconds>(system_clock::now().time_since_epoch()).count();
}

std::string_view without_port(std::string_view address) { return address.substr(0, address.rfind(':')); }

} // namespace

std::string_view name_of(application_result what) {
  switch (what) {
  case application_result::permitted: return "permitted";
  case application_result::refused: return "refused";
  case application_result::failed: return "failed";
  case application_result::busy: return "busy";
  }
  return "";
}

// --- a question, and what is answered ---

application_question question_of(const http_request& request, token_right right, std::span<const std::string> tokens) {
  const std::string_view target = request.target();
  application_question asked{.fields = {{"wants", std::string{name_of(right)}},
                                        {"method", std::string{request.method()}},
                                        {"path", std::string{target.substr(0, target.find('?'))}}},
                             .headers = {},
                             .address = request.peer.text()};
  if (const std::string_view room = request.parameter("room"); !room.empty()) asked.fields.push_back({"room", std::string{room}});
  for (const std::string_view name : {"name", "user"})
    if (auto given = request.query(name)) asked.fields.push_back({name, std::move(*given)});
  if (!tokens.empty()) asked.fields.push_back({"token", tokens.front()});
  const auto tell = [&](std::string_view name, std::string_view as) {
    const std::string_view given = request.header(name);
    if (!given.empty()) asked.headers.push_back({as, std::string{given}});
    return !given.empty();
  };
  const bool has_authorization = tell("Authorization", "authorization"), has_cookie = tell("Cookie", "cookie");
  tell("Origin", "origin");
  asked.has_credentials = !tokens.empty() || has_authorization || has_cookie;
  return asked;
}

std::string application_question::json() const {
  nlohmann::json asked{{"address", address}, {"headers", nlohmann::json::object()}};
  for (const field& each : fields) asked[std::string{each.name}] = each.value;
  for (const field& each : headers) asked["headers"][std::string{each.name}] = each.value;
  // What peers send is not always UTF-8.
  return asked.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::unique_ptr<application_verdict> read_verdict(const http_answer& answer, std::int64_t now_s) {
  if (answer.status == 401)
    return std::make_unique<application_verdict>(refused(http_status::unauthorized, "the application does not know who this is"));
  if (answer.status == 403) return std::make_unique<application_verdict>(refused(http_status::forbidden, "the application does not permit this"));
  if (answer.status != 200) return nullptr;
  auto claims = read_permission(answer.body);
  if (!claims) return nullptr;
  if (claims->expires_s && *claims->expires_s <= now_s)
    return std::make_unique<application_verdict>(refused(http_status::unauthorized, "what the application permits is over"));
  return std::make_unique<application_verdict>(application_verdict{.status = http_status::ok, .why = {}, .claims = std::move(*claims)});
}

// --- the gate ---

std::expected<std::shared_ptr<application_gate>, std::string> application_gate::open(const application_options& options) {
  auto client = http_client::to(options.authorize_url, {.connections = options.authorize_connections,
                                                        .waiting_max = options.authorize_waiting,
                                                        .timeout = std::chrono::milliseconds{options.authorize_timeout_ms},
                                                        .tls = {.ca_file = options.ca_file}});
  if (!client) return std::unexpected(fmt::format("--authorize-url: {}", client.error()));
  return std::make_shared<application_gate>(options, std::move(*client));
}

application_gate::application_gate(const application_options& options, http_client&& to)
    : options_(options), secret_(random_secret()), client_(std::move(to)) {}

task<application_verdict> application_gate::judge(const deferred_request& received, token_right right) {
  const http_request request = received.view();
  if (request.is_admin && !is_of_another_site(request))
    co_return application_verdict{.claims = {.user = {}, .rooms = {"*"}, .publish = {"*"}, .expires_s = {}}};
  const std::vector<std::string> tokens = tokens_of(request);
  if (tokens.size() > 1) {
    count(application_result::refused);
    co_return refused(http_status::bad_request, sentence_of(token_refusal::several));
  }
  const auto found = co_await answer_to(question_of(request, right, tokens));
  if (found->is_permitted() && !are_claimed(found->claims, right, request.parameter("room"))) {
    count(application_result::refused);
    co_return refused(http_status::forbidden, "the application does not permit this in this room");
  }
  if (found->is_permitted())
    count(application_result::permitted);
  else if (found->status != http_status::service_unavailable)
    count(application_result::refused);
  co_return *found;
}

// Each text with its length, so that no two questions look the same. The address counts where nothing else tells two peers apart.
application_gate::key application_gate::key_of(const application_question& what) const {
  std::string text;
  const auto add = [&](std::string_view name, std::string_view value) {
    text.append(name).append(1, ' ').append(fmt::format_int(value.size()).c_str()).append(1, ' ').append(value);
  };
  for (const auto* const texts : {&what.fields, &what.headers})
    for (const application_question::field& each : *texts) add(each.name, each.value);
  if (!what.has_credentials) add("address", without_port(what.address));
  return hmac_sha256(secret_, std::as_bytes(std::span{text}));
}

task<std::shared_ptr<const application_verdict>> application_gate::answer_to(application_question what) {
  const key about = key_of(what);
  std::shared_ptr<open_question> open;
  bool is_first = false;
  {
    const std::lock_guard lock{mutex_};
    if (auto known = find(about)) {
      from_cache_.fetch_add(1, std::memory_order_relaxed);
      co_return known;
    }
    if (waiting_ >= options_.authorize_waiting) {
      count(application_result::busy);
      co_return std::make_shared<application_verdict>(refused(http_status::service_unavailable, "too many wait for the application"));
    }
    ++waiting_;
    auto& place = asking_[about];
    is_first = place == nullptr;
    if (is_first) place = std::make_shared<open_question>();
    open = place;
  }
  // Also where this coroutine goes with its shard.
  struct at_end {
    application_gate& gate;
    ~at_end() {
      const std::lock_guard lock{gate.mutex_};
      --gate.waiting_;
    }
  } end{*this};
  if (is_first) ask(about, what, open);
  if (co_await open->answered.wait() == wait_result::done) co_return open->found;
  co_return std::make_shared<application_verdict>(refused(http_status::service_unavailable, "the server is going away"));
}

void application_gate::ask(const key& about, const application_question& what, std::shared_ptr<open_question> open) {
  questions_.fetch_add(1, std::memory_order_relaxed);
  client_.send({.body = what.json(), .is_repeatable = true},
               [this, about, open = std::move(open)](const http_result& answer) { on_answer(about, open, answer); });
}

void application_gate::on_answer(const key& about, const std::shared_ptr<open_question>& open, const http_result& answer) {
  std::shared_ptr<const application_verdict> found;
  if (answer) found = read_verdict(*answer, seconds_now());
  const bool is_answered = found != nullptr;
  if (!is_answered) {
    count(application_result::failed);
    const std::int64_t now_s = seconds_now();
    if (failure_told_s_.exchange(now_s) != now_s) // a line a second says enough
      log_line(log_level::warning,
               fmt::format("the application gave no answer that says who may come in: {}",
                           answer ? fmt::format("status {} and {} bytes", answer->status, answer->body.size()) : answer.error().text));
    found =
        options_.authorize_when_down == when_down::allow
            ? std::make_shared<application_verdict>(application_verdict{.claims = {.user = {}, .rooms = {"*"}, .publish = {"*"}, .expires_s = {}}})
            : std::make_shared<application_verdict>(refused(http_status::service_unavailable, "the application gives no answer now"));
  }
  {
    const std::lock_guard lock{mutex_};
    asking_.erase(about);
    if (is_answered) keep(about, found);
  }
  open->found = std::move(found);
  open->answered.set();
}

// --- what is kept ---

std::shared_ptr<const application_verdict> application_gate::find(const key& about) {
  for (kept_verdicts* const among : {&young_, &old_}) {
    const auto at = among->find(about);
    if (at == among->end()) continue;
    if (at->second.until <= steady::now()) {
      among->erase(at);
      return nullptr;
    }
    return at->second.found;
  }
  return nullptr;
}

// In two halves: when the young one is full it becomes the old one, whose verdicts are forgotten.
void application_gate::keep(const key& about, std::shared_ptr<const application_verdict> found) {
  steady::duration time = std::chrono::milliseconds{options_.authorize_cache_ms};
  if (!found->is_permitted()) time = std::min<steady::duration>(time, refusal_kept);
  if (const auto expires = found->claims.expires_s) {
    const std::chrono::sys_seconds end{std::chrono::seconds{*expires}};
    time = std::min(time, std::chrono::duration_cast<steady::duration>(end - std::chrono::system_clock::now()));
  }
  if (time <= steady::duration::zero() || options_.authorize_cache_entries == 0) return;
  if (young_.size() >= std::max(options_.authorize_cache_entries / 2, 1u)) {
    old_.swap(young_);
    young_.clear();
  }
  young_.insert_or_assign(about, kept_verdict{std::move(found), steady::now() + time});
}

void application_gate::forget() {
  const std::lock_guard lock{mutex_};
  young_.clear();
  old_.clear();
}

} // namespace ringcast
