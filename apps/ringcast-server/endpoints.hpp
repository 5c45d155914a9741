// The endpoints of ringcast-server. They are stable: other tools are written against them.
#pragma once

#include "apps/ringcast-server/doors.hpp"
#include <ringcast/server.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace ringcast {

struct endpoint_options {
  doors by{}; // nothing in them: everybody may do everything
  bool admin_apart = false;           // what is for those who run the server is there by server_options::listen_admin only
  std::string base_path{};            // in front of every path; empty, or like /chat-server
  std::function<std::uint64_t()> access_lines_dropped{}; // of the access log; empty: there is none
};

void add_endpoints(server& s, const endpoint_options& options = {});

} // namespace ringcast
