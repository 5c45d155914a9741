// Whose tokens are accepted. A plain value.
#pragma once

#include <string>

namespace ringcast {

struct token_options {
  std::string hs256_key_file; // a secret; a line end behind it is none of it. Empty: none
  std::string jwks_file;      // a JWK set. Empty: none
  std::string audience;       // see check_token()
  [[nodiscard]] bool is_on() const { return !hs256_key_file.empty() || !jwks_file.empty(); }
};

} // namespace ringcast
