// What many TLS connections share: certificates, keys, trusted authorities, what is allowed. Immutable once loaded, so
// a renewed certificate is loaded into a new context, and the pointer to it takes the old one's place for new
// connections; old connections keep what they were opened with.
#pragma once

#include <compare>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct WOLFSSL_CTX;

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

/// Loaded once, then shared by all threads.
class tls_context {
 public:
  /// Errors are one sentence with the file and the reason, for a log or a person.
  [[nodiscard]] static std::expected<std::shared_ptr<const tls_context>, std::string> load_server(const tls_server_options& options);
  [[nodiscard]] static std::expected<std::shared_ptr<const tls_context>, std::string> load_client(const tls_client_options& options);
  /// The same, but clients with equal options share one context for as long as any of them lives: the system's store
  /// takes a few milliseconds and some hundred KiB each time. Any thread.
  [[nodiscard]] static std::expected<std::shared_ptr<const tls_context>, std::string> shared_client(const tls_client_options& options);

  ~tls_context();
  tls_context(const tls_context&) = delete;
  tls_context& operator=(const tls_context&) = delete;

  [[nodiscard]] bool is_server() const noexcept { return is_server_; }
  [[nodiscard]] bool verifies_peer() const noexcept { return verifies_peer_; }

  /// For tls_session: the context of the certificate that answers to `host_name`; the first one where none does.
  [[nodiscard]] WOLFSSL_CTX* of_host(std::string_view host_name) const noexcept;

 private:
  struct certificate_entry;

  explicit tls_context(bool is_server);

  std::vector<certificate_entry> entries_;
  bool is_server_;
  bool verifies_peer_ = false;
};

/// What the TLS library holds and how often it asked the allocator for memory, over all threads since start.
struct tls_allocations {
  std::uint64_t calls = 0;
  std::int64_t live_bytes = 0; ///< as the allocator rounds them
};
[[nodiscard]] tls_allocations tls_library_allocations() noexcept;

/// "5.5.4, AES-NI" or "5.5.4, without AES instructions: expect 0.17 GB/s", for a line at start.
[[nodiscard]] std::string tls_library_description();

} // namespace ringcast
