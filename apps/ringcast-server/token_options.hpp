// Whose tokens are accepted, and what else says who somebody is. A plain value.
#pragma once

#include <cstdint>
#include <string>

namespace ringcast {

// What of a client's certificate says who the user is (tls_server_options::client_ca_file).
enum class certificate_user : std::uint8_t {
  off,
  subject, // its common name
  san,     // the first of its alternative names: a DNS name or URI, or else an e-mail address
};

struct token_options {
  std::string hs256_key_file; // a secret; a line end behind it is none of it. Empty: none
  std::string jwks_file;      // a JWK set. Empty: none
  std::string audience;       // see check_token()
  certificate_user user_by = certificate_user::off;
  [[nodiscard]] bool is_on() const { return !hs256_key_file.empty() || !jwks_file.empty(); }
  [[nodiscard]] bool names_users() const { return is_on() || user_by != certificate_user::off; }
};

} // namespace ringcast
