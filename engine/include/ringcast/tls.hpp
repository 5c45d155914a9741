// What a server shows and a client asks for in TLS. Plain values with the names of PEM files, which are read when a server starts, when it is
// asked to read them again, or when a client is made; what is wrong with them is said there, in one sentence.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

namespace ringcast {

/// Versions that can be spoken. Older ones are not built in.
enum class tls_version : std::uint8_t { tls_1_2, tls_1_3 };

/// A certificate with its intermediates and its private key, both files in PEM.
struct tls_certificate {
  std::string chain_file; ///< the server's certificate first, then the intermediates
  std::string key_file;
  /// Host names (SNI) it answers to, "*." allowed at the front. None: the ones in the certificate.
  std::vector<std::string> host_names;
};

struct tls_server_options {
  /// The first one answers clients that send no name, or an unknown one.
  std::vector<tls_certificate> certificates;
  /// PEM file of authorities. When given, each client must present a certificate that one of them signed.
  std::string client_ca_file;
  tls_version oldest = tls_version::tls_1_2;
  tls_version newest = tls_version::tls_1_3;
  bool session_tickets = true; ///< resume sessions without a full handshake
};

enum class tls_verification : std::uint8_t {
  on,
  off_and_insecure, ///< anyone can be the other end; for tests
};

/// What was agreed on with the peer of one connection.
struct tls_details {
  std::string version;      ///< "TLSv1.3"
  std::string cipher;       ///< "TLS_AES_128_GCM_SHA256"
  std::string server_name;  ///< the host that a client asked for (SNI); empty: none
  /// Of the client's certificate (tls_server_options::client_ca_file), as "/C=XX/O=Example/CN=name"; empty where it showed none, and on a
  /// resumed session, which shows none again.
  std::string peer_subject;
  std::string peer_common_name; ///< of the same subject; empty where it has none
  /// The names that the same certificate is for (RFC 5280 4.2.1.6): DNS names and URIs, and behind them e-mail addresses.
  std::vector<std::string> peer_names;
  bool resumed = false;
};

/// Strings in PEM files are read when a client is made.
struct tls_client_options {
  /// PEM file of authorities. Empty: the system's store ($SSL_CERT_FILE, or where distributions keep it).
  std::string ca_file;
  std::string certificate_chain_file; ///< to present to a server that asks, with its key; empty: none
  std::string certificate_key_file;
  tls_verification verification = tls_verification::on;
  tls_version oldest = tls_version::tls_1_2;
  tls_version newest = tls_version::tls_1_3;

  friend auto operator<=>(const tls_client_options&, const tls_client_options&) = default;
};

} // namespace ringcast
