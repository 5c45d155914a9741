// Where the connections of a run go, and with what they begin.
#pragma once

#include "proto/url.hpp"

#include <string>
#include <vector>

namespace ringcast::load {

struct destination {
  url server;
  std::vector<std::string> source_addresses; // Empty: as the ports need, where every source is ours (127.0.0.0/8).
  unsigned source_addresses_min = 1;         // Of those; more where places are used again and again.
  std::vector<std::string> subprotocols;
  bool names = false;       // A chat: each connection is given a name, unless the URL brings one.
  bool compression = false; // Offer permessage-deflate.
  bool tls_insecure = false;
  std::string tls_ca_file;
};

} // namespace ringcast::load
