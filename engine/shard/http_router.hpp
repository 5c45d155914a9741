// Which handler answers a path. Patterns are literal segments, {name} segments that match one whole segment, and a * at the end that matches all
// that follows; the first match wins.
// Filled before the shards start and only read afterwards, by all of them. A route that no request could ever reach is an error of the program:
// problem() says which, and server::start() fails with it.
#pragma once

#include <ringcast/events.hpp>

#include <memory>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

namespace ringcast::engine {

struct route {
  std::string method; // "GET", "POST"; a websocket endpoint is a GET
  std::vector<std::string> segments; // "{name}" for a parameter, "*" for the rest
  http_handler handler;              // or
  std::unique_ptr<websocket_endpoint> endpoint;
  std::source_location registered_at;
  bool admin_only = false; // not there for requests that come by other listeners
};

struct route_match {
  const route* found = nullptr;
  path_parameters parameters;
  std::string allowed; // methods of the routes that match the path, for 405; empty: no such path
  bool bad_path = false; // a broken percent escape
};

class http_router {
 public:
  void add(std::string_view method, std::string_view pattern, http_handler handler,
           const std::source_location& where = std::source_location::current(), bool admin_only = false);
  void add(std::string_view pattern, websocket_endpoint endpoint, const std::source_location& where = std::source_location::current(),
           bool admin_only = false);
  [[nodiscard]] route_match match(std::string_view method, std::string_view path, bool is_admin) const;

  // What is wrong with the first route that can never be reached, with the place where it was added; empty if all can.
  [[nodiscard]] const std::string& problem() const { return problem_; }
  // The shards read from now on: whoever adds a route later gets a std::logic_error.
  void close() { closed_ = true; }

 private:
  void take(route r, std::string_view pattern);

  std::vector<route> routes_;
  std::string problem_;
  bool closed_ = false;
};

} // namespace ringcast::engine
