#include "engine/cluster/redis_address.hpp"

#include "proto/percent.hpp"

#include <charconv>
#include <fmt/format.h>

namespace ringcast::engine {

namespace {

template <class Number> bool read_number(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return !text.empty() && error == std::errc{} && end == text.data() + text.size();
}

} // namespace

std::string redis_address::text() const { return fmt::format(fmt::runtime(host.contains(':') ? "[{}]:{}" : "{}:{}"), host, port); }

std::expected<redis_address, std::string> parse_redis_url(std::string_view url) {
  const auto wrong = [](std::string_view what) {
    return std::unexpected(fmt::format("the URL of the engine of a cluster is redis://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE]: {}", what));
  };
  constexpr std::string_view scheme = "redis://";
  if (url.starts_with("rediss://")) return wrong("TLS to it is not there yet");
  if (!url.starts_with(scheme)) return wrong("it does not begin so");
  url.remove_prefix(scheme.size());
  redis_address to;
  if (const std::size_t slash = url.find('/'); slash != std::string_view::npos) {
    const std::string_view database = url.substr(slash + 1);
    if (!database.empty() && !read_number(database, to.database)) return wrong("the database is a number");
    url = url.substr(0, slash);
  }
  if (const std::size_t at = url.rfind('@'); at != std::string_view::npos) {
    const std::string_view who = url.substr(0, at);
    const std::size_t colon = std::min(who.find(':'), who.size());
    const auto user = percent_decode(who.substr(0, colon));
    const auto password = percent_decode(who.substr(std::min(colon + 1, who.size())));
    if (!user || !password) return wrong("user and password are in percent-encoding");
    to.user = *user, to.password = *password;
    url.remove_prefix(at + 1);
  }
  const bool bracketed = url.starts_with('[') && url.contains(']');
  const std::size_t host_end = bracketed ? url.find(']') + 1 : std::min(url.find(':'), url.size());
  to.host = bracketed ? url.substr(1, host_end - 2) : url.substr(0, host_end);
  if (to.host.empty()) return wrong("there is no host");
  if (host_end < url.size() && (url[host_end] != ':' || !read_number(url.substr(host_end + 1), to.port) || to.port == 0))
    return wrong("the port is a number");
  return to;
}

} // namespace ringcast::engine
