// Options: what the application is asked, and told.
#include "apps/ringcast-server/option_makers.hpp"
#include "apps/ringcast-server/webhook_event.hpp"

#include <fmt/format.h>

namespace ringcast::declared {

namespace {

std::expected<void, std::string> check_webhook_event(std::string_view text) {
  std::string all;
  for (std::size_t i = 0; i < webhook_events; ++i) {
    const std::string_view name = name_of(static_cast<webhook_event>(i));
    if (text == name) return {};
    all.append(i == 0 ? "" : ", ").append(name);
  }
  return std::unexpected(fmt::format("'{}' is no event; allowed: {}", text, all));
}

} // namespace

std::vector<option> application() {
  return {
      {.name = "authorize-url",
       .means = "the application is asked there, by POST, whether somebody may connect, read or publish: [described above](#ask-the-application). "
                "In place of tokens",
       .reason = "nobody is asked unless you say whom",
       .rules = text([](auto& s) -> auto& { return s.application.authorize_url; }, "URL")},
      {.name = "authorize-timeout",
       .means = "how long its answer may take, to the last byte",
       .reason = "a browser's user waits meanwhile",
       .rules = time([](auto& s) -> auto& { return s.application.authorize_timeout_ms; }, second, ms, 10 * ms, 60 * second)},
      {.name = "authorize-cache",
       .means = "how long what it permits is kept for the same question, at most until `expires`; a refusal is kept for a second. 0 is not at all",
       .reason = "who comes back costs it nothing, and who is thrown out is soon",
       .rules = time([](auto& s) -> auto& { return s.application.authorize_cache_ms; }, second, ms, 0, day)},
      {.name = "authorize-cache-entries",
       .means = "answers that are kept, about; beyond it the older half is forgotten",
       .reason = "some 300 bytes each",
       .rules = number([](auto& s) -> auto& { return s.application.authorize_cache_entries; }, {.least = 0, .most = 10'000'000})},
      {.name = "authorize-connections",
       .means = "questions that it is asked at once, each on a connection that is kept",
       .reason = "at 10 ms each it is asked 1,600 times a second",
       .rules = number([](auto& s) -> auto& { return s.application.authorize_connections; }, {.least = 1, .most = 256})},
      {.name = "authorize-waiting",
       .means = "requests that may wait for its answer; the next one is answered 503",
       .reason = "a slow application must not hold the whole server",
       .rules = number([](auto& s) -> auto& { return s.application.authorize_waiting; }, {.least = 1, .most = 1'000'000})},
      {.name = "authorize-when-down",
       .means = "what happens where it gives no answer, or none that can be read: `refuse` answers 503, `allow` permits everything, as nobody",
       .reason = "a door that opens when nobody watches it is none",
       .rules = choice([](auto& s) -> auto& { return s.application.authorize_when_down; }, {"refuse", "allow"})},
      {.name = "webhook-url",
       .means = "the application is told there, by POST, which rooms, users and connections come and go: [described above](#tell-the-application)",
       .reason = "nobody is told unless you say whom",
       .rules = text([](auto& s) -> auto& { return s.application.webhook_url; }, "URL")},
      {.name = "webhook-key-file",
       .means = "a secret of 32 bytes or more (a line end behind it is none of it), with which what it is told is signed; SIGHUP reads it again",
       .reason = "a key that everybody has signs nothing",
       .rules = text([](auto& s) -> auto& { return s.application.webhook_key_file; }, "FILE")},
      {.name = "webhook-events",
       .means = "what it is told: `room_occupied`, `room_vacated`, `user_joined`, `user_left`, `connection_closed`; may be given several times, and "
                "without it all",
       .reason = "who asks for little has little to read",
       .rules = list([](auto& s) -> auto& { return s.application.webhook_events; }, "EVENT", check_webhook_event)},
      {.name = "webhook-batch",
       .means = "events of one request, at most",
       .reason = "some 20 KiB",
       .rules = number([](auto& s) -> auto& { return s.application.webhook_batch; }, {.least = 1, .most = 10'000})},
      {.name = "webhook-delay",
       .means = "how long the first event of a request waits for others",
       .reason = "nobody sees it, and a thousand who come at once are ten requests",
       .rules = time([](auto& s) -> auto& { return s.application.webhook_delay_ms; }, second, ms, 0, 60 * second)},
      {.name = "webhook-queue",
       .means = "events that wait for the application; beyond it the newest are dropped, counted, and told as dropped",
       .reason = "some 2 MiB",
       .rules = number([](auto& s) -> auto& { return s.application.webhook_queue; }, {.least = 10, .most = 10'000'000})},
      {.name = "webhook-timeout",
       .means = "how long the application may take to answer a request, which is then sent again",
       .reason = "it has a queue of its own, or should",
       .rules = time([](auto& s) -> auto& { return s.application.webhook_timeout_ms; }, second, ms, 10 * ms, 60 * second)},
      {.name = "application-ca",
       .means = "whose certificates are trusted where the application is asked or told by `https://` (PEM)",
       .reason = "the system's store",
       .rules = text([](auto& s) -> auto& { return s.application.ca_file; }, "FILE")},
  };
}

} // namespace ringcast::declared
