#include "engine/http_router.hpp"

#include "proto/percent.hpp"

namespace ringcast {

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

bool is_parameter(std::string_view segment) { return segment.size() > 2 && segment.front() == '{' && segment.back() == '}'; }

} // namespace

void http_router::add(std::string_view method, std::string_view pattern, http_handler handler, const std::source_location& where) {
  route r;
  r.registered_at = where;
  r.method = method;
  for (const std::string_view segment : split_path(pattern)) r.segments.emplace_back(segment);
  r.handler = std::move(handler);
  routes_.push_back(std::move(r));
}

void http_router::add(std::string_view pattern, websocket_endpoint endpoint, const std::source_location& where) {
  route r;
  r.registered_at = where;
  endpoint.registered_at = where;
  r.method = "GET";
  for (const std::string_view segment : split_path(pattern)) r.segments.emplace_back(segment);
  r.endpoint = std::make_unique<websocket_endpoint>(std::move(endpoint));
  routes_.push_back(std::move(r));
}

route_match http_router::match(std::string_view method, std::string_view path) const {
  route_match result;
  const std::vector<std::string_view> segments = split_path(path);
  for (const route& r : routes_) {
    if (r.segments.size() != segments.size()) continue;
    path_parameters parameters;
    bool same = true;
    for (std::size_t i = 0; i < segments.size() && same; ++i) {
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

} // namespace ringcast
