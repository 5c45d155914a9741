// The endpoints of ringcast-server. They are stable: other tools are written against them.
#pragma once

#include <ringcast/server.hpp>

#include <cstdint>
#include <functional>
#include <memory>

namespace ringcast {

class token_gate;

struct endpoint_options {
  std::shared_ptr<token_gate> gate{}; // null: nobody needs a token
  bool admin_apart = false;           // what is for those who run the server is there by server_options::listen_admin only
  std::function<std::uint64_t()> access_lines_dropped{}; // of the access log; empty: there is none
};

void add_endpoints(server& s, const endpoint_options& options = {});

} // namespace ringcast
