// A server that runs for the time of a test, on a port that was free.
#pragma once

#include <ringcast/ringcast.hpp>

#include <boost/test/unit_test.hpp>
#include <functional>
#include <string>

namespace ringcast {

struct running {
  server s;
  explicit running(const std::function<void(server&)>& routes, server_options options = {}) : s(prepared(std::move(options))) {
    routes(s);
    const auto started = s.start();
    BOOST_REQUIRE_MESSAGE(started.has_value(), (started ? std::string{} : started.error().why));
  }
  ~running() {
    s.stop();
    s.wait();
  }
  [[nodiscard]] const std::string& address() const { return s.addresses().front(); }

 private:
  static server_options prepared(server_options options) {
    options.listen = {"127.0.0.1:0"};
    if (options.shards == 0) options.shards = 2;
    options.coalesce_wait_us = 0;
    options.limits.close_timeout_ms = 200; // not every client here answers the server's Close frame
    return options;
  }
};

} // namespace ringcast
