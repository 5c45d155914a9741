// The endpoints of ringcast-server. They are stable: other tools are written against them.
#pragma once

#include <ringcast/server.hpp>

#include <memory>
#include <string>
#include <vector>

namespace ringcast {

class token_gate;

struct endpoint_options {
  std::shared_ptr<token_gate> gate{}; // null: nobody needs a token
  bool admin_apart = false;           // what is for those who run the server is there by server_options::listen_admin only
  std::vector<std::string> admin_names{}; // by which that address is known, see admin_guard
};

void add_endpoints(server& s, const endpoint_options& options = {});

} // namespace ringcast
