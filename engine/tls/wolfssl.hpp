// The one place that includes wolfSSL, for tls_context, tls_session and signature only. It starts the library, counts what it
// allocates, turns its error numbers into sentences, and reads what we show of a certificate.
#pragma once

#include <wolfssl/options.h> // Must come first: how the library was built.

#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/ed25519.h>
#include <wolfssl/wolfcrypt/error-crypt.h>
#include <wolfssl/wolfcrypt/hmac.h>
#include <wolfssl/wolfcrypt/rsa.h>
#include <wolfssl/wolfcrypt/signature.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace ringcast::engine {

struct free_wolfssl_context {
  void operator()(WOLFSSL_CTX* context) const noexcept { wolfSSL_CTX_free(context); }
};
struct free_wolfssl_session {
  void operator()(WOLFSSL* session) const noexcept { wolfSSL_free(session); }
};
using wolfssl_context = std::unique_ptr<WOLFSSL_CTX, free_wolfssl_context>;
using wolfssl_session = std::unique_ptr<WOLFSSL, free_wolfssl_session>;

/// Once per process, from any thread; later calls do nothing.
void start_wolfssl();

/// A reason that ends a sentence, such as "the certificate has expired". `session` may be null; with it the alert that
/// the peer sent is named.
[[nodiscard]] std::string describe_wolfssl_error(int error, WOLFSSL* session);

/// Whether `error` says that the peer's certificate was not accepted by us.
[[nodiscard]] bool is_certificate_error(int error) noexcept;

/// What kind of fatal alert of the peer `error` stands for. Trouble of its own may be over later; a refusal is not.
enum class peer_alert : std::uint8_t { none, trouble, refusal };
[[nodiscard]] peer_alert fatal_alert_of_peer(int error, WOLFSSL* session) noexcept;

/// What we show and use of a certificate.
struct certificate_facts {
  std::string subject;            ///< as "/C=XX/O=Example/CN=name"
  std::string common_name;        ///< of the subject
  std::vector<std::string> alternatives; ///< DNS names and URIs, then e-mail addresses
  std::vector<std::string> names; ///< of hosts: the subject alternative names, or the common name where there are none
};
/// Empty facts where `der` is not a certificate.
[[nodiscard]] certificate_facts read_certificate(std::span<const std::uint8_t> der);
/// Of the first certificate in PEM text.
[[nodiscard]] certificate_facts read_first_certificate(const std::string& pem);

} // namespace ringcast::engine
