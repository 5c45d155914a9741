// Which handler answers a path. Patterns are literal segments and {name} segments that match one whole segment; the first match wins.
// Filled before the shards start and only read afterwards, by all of them.
#pragma once

#include "engine/events.hpp"

#include <memory>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

namespace ringcast {

struct route {
  std::string method; // "GET", "POST"; a websocket endpoint is a GET
  std::vector<std::string> segments; // "{name}" for a parameter
  http_handler handler;              // or
  std::unique_ptr<websocket_endpoint> endpoint;
  std::source_location registered_at;
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
           const std::source_location& where = std::source_location::current());
  void add(std::string_view pattern, websocket_endpoint endpoint, const std::source_location& where = std::source_location::current());
  [[nodiscard]] route_match match(std::string_view method, std::string_view path) const;

 private:
  std::vector<route> routes_;
};

} // namespace ringcast
