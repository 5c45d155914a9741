// What many TLS connections share: certificates, keys, trusted authorities, what is allowed. Immutable once loaded, so
// a renewed certificate is loaded into a new context, and the pointer to it takes the old one's place for new
// connections; old connections keep what they were opened with.
#pragma once

#include <ringcast/tls.hpp>

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct WOLFSSL_CTX;

namespace ringcast::engine {

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

} // namespace ringcast::engine
