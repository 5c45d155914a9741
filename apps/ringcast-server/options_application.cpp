// Options: what the application is asked, and told.
#include "apps/ringcast-server/option_makers.hpp"

namespace ringcast::declared {

std::vector<option> application() {
  return {
      {.name = "authorize-url",
       .means = "the application is asked there, by POST, whether somebody may connect, read or publish: [described above](#ask-the-application). "
                "In place of tokens",
       .reason = "",
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
      {.name = "application-ca",
       .means = "whose certificates are trusted where the application is asked or told by `https://` (PEM)",
       .reason = "the system's store",
       .rules = text([](auto& s) -> auto& { return s.application.ca_file; }, "FILE")},
  };
}

} // namespace ringcast::declared
