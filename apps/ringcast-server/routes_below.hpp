// The routes of a server below a path.
#pragma once

#include <ringcast/server.hpp>

#include <string>
#include <string_view>
#include <utility>

namespace ringcast {

// The routes of the server, each behind the base path.
class routes_below {
 public:
  routes_below(const routes& to, std::string_view base) : to_(to), base_(base) {}
  [[nodiscard]] routes_below admin() const { return {to_.admin(), base_}; }
  void add(std::string_view method, std::string_view pattern, http_handler handler) {
    to_.add(method, base_ + std::string{pattern}, std::move(handler));
  }
  void add(std::string_view pattern, websocket_endpoint endpoint) { to_.add(base_ + std::string{pattern}, std::move(endpoint)); }

 private:
  routes to_;
  std::string base_;
};

} // namespace ringcast
