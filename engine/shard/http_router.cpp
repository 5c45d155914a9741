#include "engine/shard/http_router.hpp"

#include "proto/percent.hpp"

#include <fmt/format.h>
#include <optional>
#include <span>
#include <stdexcept>
#include <utility>

namespace ringcast::engine {

namespace {

std::vector<std::string_view> split_path(std::string_view path) {
  std::vector<std::string_view> segments;
  if (path.starts_with('/')) path.remove_prefix(1);
  while (true) {
    const std::size_t slash = path.find('/');
    segments.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return segments;
    path.remove_prefix(slash + 1);
  }
}

// As the last segment of a pattern: all that follows, maybe nothing.
constexpr std::string_view wildcard = "*";
bool ends_with_wildcard(const std::vector<std::string>& segments) { return segments.back() == wildcard; }

bool is_parameter(std::string_view segment) { return segment.size() > 2 && segment.front() == '{' && segment.back() == '}'; }

} // namespace

namespace {

// Why no request matches it whatever else is there; empty if some do.
std::string_view why_unreachable(std::string_view pattern, const std::vector<std::string>& segments) {
  if (!pattern.starts_with('/')) return "a pattern begins with /";
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const std::string& segment = segments[i];
    if (is_parameter(segment)) {
      if (segment.find_first_of("{}", 1) != segment.size() - 1) return "a parameter is a whole segment: {name}";
      for (std::size_t before = 0; before < i; ++before)
        if (segments[before] == segment) return "two parameters have one name";
      continue;
    }
    if (segment.find_first_of("{}") != std::string::npos) return "a parameter is a whole segment: {name}";
    if (segment == wildcard && i + 1 == segments.size()) continue;
    if (segment.find('*') != std::string::npos) return "a wildcard is a whole segment: {name} takes one, and * at the end takes all that follow";
    for (const char c : segment)
      if (c <= ' ' || c > '~' || c == '?' || c == '#') return "the path of a request has none of these characters; they are percent-encoded there";
  }
  return {};
}

// Whether what `later` could match goes to `earlier`, which stands before it.
bool takes_all_of(const route& earlier, const route& later) {
  const bool method = earlier.method == later.method || (later.method == "HEAD" && earlier.method == "GET" && earlier.endpoint == nullptr);
  if (!method || (earlier.admin_only && !later.admin_only)) return false;
  const bool takes_rest = ends_with_wildcard(earlier.segments);
  if (takes_rest ? later.segments.size() < earlier.segments.size()
                 : later.segments.size() != earlier.segments.size() || ends_with_wildcard(later.segments))
    return false;
  for (std::size_t i = 0; i < earlier.segments.size() - (takes_rest ? 1 : 0); ++i)
    if (!is_parameter(earlier.segments[i]) && earlier.segments[i] != later.segments[i]) return false;
  return true;
}

} // namespace

void http_router::take(route r, std::string_view pattern) {
  for (const std::string_view segment : split_path(pattern)) r.segments.emplace_back(segment);
  std::string why{why_unreachable(pattern, r.segments)};
  for (const route& earlier : routes_) {
    if (!why.empty()) break;
    if (takes_all_of(earlier, r))
      why = fmt::format("the route of {}:{}, which was added before, takes all of its requests", earlier.registered_at.file_name(),
                        earlier.registered_at.line());
  }
  if (!why.empty())
    why = fmt::format("the route {} \"{}\" of {}:{} can never be reached: {}", r.method, pattern, r.registered_at.file_name(), r.registered_at.line(),
                      why);
  if (closed_)
    throw std::logic_error(fmt::format("the route {} \"{}\" of {}:{} is added too late: routes are added before the server starts", r.method, pattern,
                                       r.registered_at.file_name(), r.registered_at.line()));
  if (problem_.empty()) problem_ = std::move(why);
  routes_.push_back(std::move(r));
}

void http_router::add(std::string_view method, std::string_view pattern, http_handler handler, const std::source_location& where, bool admin_only) {
  route r;
  r.method = method;
  r.registered_at = where;
  r.admin_only = admin_only;
  r.handler = std::move(handler);
  take(std::move(r), pattern);
}

void http_router::add(std::string_view pattern, websocket_endpoint endpoint, const std::source_location& where, bool admin_only) {
  endpoint.registered_at = where;
  route r;
  r.method = "GET";
  r.registered_at = where;
  r.admin_only = admin_only;
  r.endpoint = std::make_unique<websocket_endpoint>(std::move(endpoint));
  take(std::move(r), pattern);
}

namespace {

// Decoded segment by segment; nothing if an escape is broken.
std::optional<std::string> decoded_rest(std::span<const std::string_view> segments) {
  std::string rest;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    auto decoded = percent_decode(segments[i]);
    if (!decoded) return std::nullopt;
    if (i > 0) rest += '/';
    rest += *decoded;
  }
  return rest;
}

} // namespace

route_match http_router::match(std::string_view method, std::string_view path, bool is_admin) const {
  route_match result;
  const std::vector<std::string_view> segments = split_path(path);
  for (const route& r : routes_) {
    if (r.admin_only && !is_admin) continue;
    const bool takes_rest = ends_with_wildcard(r.segments);
    if (takes_rest ? segments.size() < r.segments.size() : segments.size() != r.segments.size()) continue;
    path_parameters parameters;
    bool same = true;
    for (std::size_t i = 0; i < r.segments.size() - (takes_rest ? 1 : 0) && same; ++i) {
      const std::string& pattern = r.segments[i];
      if (!is_parameter(pattern)) {
        same = pattern == segments[i];
        continue;
      }
      auto decoded = percent_decode(segments[i]);
      if (!decoded) {
        result.bad_path = true;
        return result;
      }
      parameters.emplace_back(pattern.substr(1, pattern.size() - 2), std::move(*decoded));
    }
    if (!same) continue;
    if (takes_rest) {
      auto rest = decoded_rest(std::span{segments}.subspan(r.segments.size() - 1));
      if (!rest) {
        result.bad_path = true;
        return result;
      }
      parameters.emplace_back(wildcard, std::move(*rest));
    }
    if (r.method == method || (method == "HEAD" && r.method == "GET" && r.endpoint == nullptr)) {
      result.found = &r;
      result.parameters = std::move(parameters);
      return result;
    }
    const auto allow = [&allowed = result.allowed](std::string_view method) {
      if (allowed.find(method) == std::string::npos) allowed.append(allowed.empty() ? "" : ", ").append(method);
    };
    allow(r.method);
    if (r.method == "GET" && r.endpoint == nullptr) allow("HEAD");
  }
  return result;
}

} // namespace ringcast::engine
