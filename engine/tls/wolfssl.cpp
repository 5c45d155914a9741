#include "engine/tls/wolfssl.hpp"

#include "engine/tls/tls_context.hpp"
#include <ringcast/detail/assert.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <malloc.h>
#include <mutex>

namespace ringcast::engine {
namespace {

// Counted by thread, so that shards do not share a cache line for it. A thread beyond the last slot shares that one.
struct alignas(64) allocation_slot {
  std::atomic<std::uint64_t> calls{0};
  std::atomic<std::int64_t> live_bytes{0};
};
std::array<allocation_slot, 64> allocation_slots;
std::atomic<std::size_t> slots_taken{0};

allocation_slot& own_slot() noexcept {
  thread_local allocation_slot* const slot =
      &allocation_slots[std::min(slots_taken.fetch_add(1, std::memory_order_relaxed), allocation_slots.size() - 1)];
  return *slot;
}

void count(void* block, std::int64_t sign) noexcept {
  if (block == nullptr) return;
  allocation_slot& slot = own_slot();
  slot.live_bytes.fetch_add(sign * static_cast<std::int64_t>(malloc_usable_size(block)), std::memory_order_relaxed);
  if (sign > 0) slot.calls.fetch_add(1, std::memory_order_relaxed);
}

void* counted_malloc(std::size_t bytes) {
  void* const block = std::malloc(bytes);
  count(block, 1);
  return block;
}
void counted_free(void* block) {
  count(block, -1);
  std::free(block);
}
void* counted_realloc(void* block, std::size_t bytes) {
  count(block, -1);
  void* const moved = std::realloc(block, bytes);
  count(moved == nullptr ? block : moved, 1);
  return moved;
}

std::string_view alert_name(int code) noexcept {
  switch (code) {
  case unexpected_message: return "unexpected_message";
  case bad_record_mac: return "bad_record_mac";
  case record_overflow: return "record_overflow";
  case handshake_failure: return "handshake_failure";
  case bad_certificate: return "bad_certificate";
  case unsupported_certificate: return "unsupported_certificate";
  case certificate_revoked: return "certificate_revoked";
  case certificate_expired: return "certificate_expired";
  case certificate_unknown: return "certificate_unknown";
  case illegal_parameter: return "illegal_parameter";
  case unknown_ca: return "unknown_ca";
  case access_denied: return "access_denied";
  case decode_error: return "decode_error";
  case decrypt_error: return "decrypt_error";
  case protocol_version: return "protocol_version";
  case insufficient_security: return "insufficient_security";
  case internal_error: return "internal_error";
  case user_canceled: return "user_canceled";
  case no_renegotiation: return "no_renegotiation";
  case missing_extension: return "missing_extension";
  case unrecognized_name: return "unrecognized_name";
  case certificate_required: return "certificate_required";
  case no_application_protocol: return "no_application_protocol";
  default: return {};
  }
}

} // namespace

tls_allocations tls_library_allocations() noexcept {
  tls_allocations sum;
  for (const allocation_slot& slot : allocation_slots) {
    sum.calls += slot.calls.load(std::memory_order_relaxed);
    sum.live_bytes += slot.live_bytes.load(std::memory_order_relaxed);
  }
  return sum;
}

void start_wolfssl() {
  static std::once_flag once;
  std::call_once(once, [] {
    RINGCAST_ASSERT(wolfSSL_SetAllocators(counted_malloc, counted_free, counted_realloc) == 0);
    RINGCAST_ASSERT(wolfSSL_Init() == WOLFSSL_SUCCESS);
  });
}

bool is_certificate_error(int error) noexcept {
  switch (error) {
  case ASN_NO_SIGNER_E:
  case ASN_SELF_SIGNED_E:
  case ASN_AFTER_DATE_E:
  case ASN_BEFORE_DATE_E:
  case ASN_SIG_CONFIRM_E:
  case ASN_PATHLEN_SIZE_E:
  case ASN_PATHLEN_INV_E:
  case DOMAIN_NAME_MISMATCH:
  case IPADDR_MISMATCH:
  case NO_PEER_CERT:
  case VERIFY_CERT_ERROR: return true;
  default: return false;
  }
}

peer_alert fatal_alert_of_peer(int error, WOLFSSL* session) noexcept {
  WOLFSSL_ALERT_HISTORY history{};
  if (error != FATAL_ERROR || session == nullptr || wolfSSL_get_alert_history(session, &history) != WOLFSSL_SUCCESS ||
      history.last_rx.level != alert_fatal)
    return peer_alert::none;
  const int code = history.last_rx.code;
  return code == internal_error || code == user_canceled ? peer_alert::trouble : peer_alert::refusal;
}

std::string describe_wolfssl_error(int error, WOLFSSL* session) {
  switch (error) {
  case ASN_NO_SIGNER_E: return "the certificate is not signed by an authority that is trusted here";
  case ASN_SELF_SIGNED_E: return "the certificate is self-signed and not trusted here";
  case ASN_AFTER_DATE_E: return "the certificate has expired";
  case ASN_BEFORE_DATE_E: return "the certificate is not valid yet";
  case ASN_SIG_CONFIRM_E: return "the certificate's signature is wrong";
  case DOMAIN_NAME_MISMATCH:
  case IPADDR_MISMATCH: return "the certificate is for another host name";
  case NO_PEER_CERT: return "the peer sent no certificate";
  case VERIFY_MAC_ERROR:
  case DECRYPT_ERROR:
  case AES_GCM_AUTH_E: return "a record does not decrypt";
  case VERSION_ERROR: return "the peer speaks no TLS version that is allowed here";
  case UNKNOWN_RECORD_TYPE: return "a record of an unknown type: this is not TLS";
  case LENGTH_ERROR: return "a record is longer than TLS allows";
  case DUPLICATE_MSG_E: return "a handshake message out of turn: renegotiation is not allowed here";
  case MATCH_SUITE_ERROR: return "no cipher suite in common";
  case UNKNOWN_ALPN_PROTOCOL_NAME_E: return "no application protocol in common (ALPN)";
  default: break;
  }
  if (fatal_alert_of_peer(error, session) != peer_alert::none) {
    WOLFSSL_ALERT_HISTORY history{};
    (void)wolfSSL_get_alert_history(session, &history);
    const std::string_view name = alert_name(history.last_rx.code);
    return "the peer refused with the alert " + (name.empty() ? std::to_string(history.last_rx.code) : std::string{name});
  }
  const char* const text = wolfSSL_ERR_reason_error_string(static_cast<unsigned long>(static_cast<long>(error)));
  return (text != nullptr ? std::string{text} : std::string{"TLS error"}) + " (" + std::to_string(error) + ")";
}

namespace {

// Those that are text, in the order of the certificate.
void append_names(const DNS_entry* list, std::vector<std::string>& to) {
  [[maybe_unused]] const auto before = static_cast<std::ptrdiff_t>(to.size());
  for (; list != nullptr; list = list->next)
    if (list->type == ASN_DNS_TYPE || list->type == ASN_URI_TYPE || list->type == ASN_RFC822_TYPE)
      to.emplace_back(list->name, static_cast<std::size_t>(list->len));
#if !defined(OPENSSL_EXTRA) || defined(WOLFSSL_ALT_NAMES_NO_REV)
  std::reverse(to.begin() + before, to.end()); // such a library puts each in front of those before
#endif
}

} // namespace

certificate_facts read_certificate(std::span<const std::uint8_t> der) {
  certificate_facts facts;
  DecodedCert decoded;
  InitDecodedCert(&decoded, der.data(), static_cast<word32>(der.size()), nullptr);
  if (ParseCert(&decoded, CERT_TYPE, NO_VERIFY, nullptr) == 0) {
    facts.subject = decoded.subject;
    append_names(decoded.altNames, facts.alternatives);
    append_names(decoded.altEmailNames, facts.alternatives);
    if (decoded.subjectCN != nullptr) facts.common_name.assign(decoded.subjectCN, static_cast<std::size_t>(decoded.subjectCNLen));
    for (const DNS_entry* name = decoded.altNames; name != nullptr; name = name->next)
      if (name->type == ASN_DNS_TYPE) facts.names.emplace_back(name->name, static_cast<std::size_t>(name->len));
    if (decoded.altNames == nullptr && decoded.subjectCN != nullptr)
      facts.names.emplace_back(decoded.subjectCN, static_cast<std::size_t>(decoded.subjectCNLen));
  }
  FreeDecodedCert(&decoded);
  return facts;
}

certificate_facts read_first_certificate(const std::string& pem) {
  std::vector<std::uint8_t> der(pem.size());
  const int length = wc_CertPemToDer(reinterpret_cast<const std::uint8_t*>(pem.data()), static_cast<int>(pem.size()), der.data(),
                                     static_cast<int>(der.size()), CERT_TYPE);
  if (length <= 0) return {};
  return read_certificate({der.data(), static_cast<std::size_t>(length)});
}

} // namespace ringcast::engine
