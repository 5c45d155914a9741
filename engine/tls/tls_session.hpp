// One TLS connection, without a socket: ciphertext in, plaintext out, and the other way round. Whoever owns the socket
// calls feed() with what arrived, sends what was appended to the sink, and looks at state() afterwards.
#pragma once

#include "engine/base/byte_sink.hpp"
#include "engine/tls/tls_context.hpp"
#include "proto/byte_buffer.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

struct WOLFSSL;
struct WOLFSSL_SESSION;
struct WOLFSSL_X509_STORE_CTX;

namespace ringcast::engine {

/// The most plaintext that one record carries (RFC 8446 5.1).
inline constexpr std::size_t tls_record_bytes_max = 16 * 1024;

/// The most that the first record of a ClientHello may say. The largest that are sent, with keys for post-quantum exchanges and a ticket, have
/// less than 3 KiB; it is the one thing that is kept of a peer of whom nothing is known.
inline constexpr std::size_t tls_client_hello_bytes_max = 8 * 1024;
/// Records that one peer may send one after the other without a byte of data in them: KeyUpdates (RFC 8446 4.6.3), empty ones (5.1), warnings,
/// and what belongs to the handshake. Each costs us keys or an answer, and brings nothing.
inline constexpr std::uint32_t tls_records_without_data_max = 64;

/// Memory to work in, one per thread, lent to each call. Too large for the stack of a coroutine.
struct tls_scratch {
  std::array<std::byte, 4 * tls_record_bytes_max> plaintext; ///< several records are handed on at once
  std::array<std::byte, tls_record_bytes_max> record;        ///< pieces are joined here
};

enum class tls_state : std::uint8_t {
  handshaking,
  open,
  peer_closed, ///< the peer said close_notify: it will send nothing more; what we write still arrives
  failed,      ///< see failure() and reason(); an alert for the peer may be in the sink: send it, then close
};

enum class tls_failure : std::uint8_t {
  none,
  plain_http,    ///< the first bytes are an HTTP request: the port speaks TLS, the client does not. Answer 400 in clear
                 ///< text
  not_tls,       ///< the peer's first bytes are no TLS record
  handshake,     ///< no common version, cipher or protocol
  refused,       ///< the peer sent a fatal alert; in TLS 1.3 that may come after the handshake, where it wants another
                 ///< certificate of ours
  peer_trouble,  ///< the peer sent the alert internal_error or user_canceled: another attempt may fare better
  certificate,   ///< the peer's certificate was not accepted
  broken_record, ///< a record that does not decrypt, is too long or out of place
  truncated,     ///< the connection ended without close_notify: bytes may be missing (RFC 8446 6.1)
};

struct certificate_facts;

/// A resumable session, taken from an open client session and given to a later one to the same host.
class tls_ticket {
 public:
  tls_ticket() noexcept = default;

  [[nodiscard]] explicit operator bool() const noexcept { return session_ != nullptr; }

 private:
  friend class tls_session;
  std::shared_ptr<WOLFSSL_SESSION> session_;
};

/// What was agreed, valid once open.
struct tls_agreement {
  std::string_view version;     ///< "TLSv1.3"
  std::string_view cipher;      ///< "TLS_AES_128_GCM_SHA256"
  std::string_view alpn;        ///< "http/1.1", or empty where the peer did not ask
  std::string_view server_name; ///< as the client sent it (SNI), or empty
  /// Of the peer's certificate, as "/C=XX/O=Example/CN=name"; empty where it showed none, or resumed.
  std::string_view peer_subject;
  std::string_view peer_common_name;
  std::span<const std::string> peer_names;
  bool resumed = false;
};

/// What an open session holds while nothing is under way (kernel-notes/tls.md), rounded up.
inline constexpr std::size_t tls_session_bytes = 5 * 1024;

/// Owned by its connection, on its shard's thread; neither copied nor moved. A server's session costs one small object
/// until a whole ClientHello has arrived. Once the handshake is over the library holds about what kernel-notes/tls.md
/// says, and no buffers while nothing is under way.
class tls_session {
 public:
  /// For an accepted connection.
  explicit tls_session(std::shared_ptr<const tls_context> server);
  /// For a connection to `host`, a name or an address, which is sent as SNI where it is a name and must be in the
  /// server's certificate. Call start() next.
  tls_session(std::shared_ptr<const tls_context> client, std::string_view host, const tls_ticket& resume = {});
  ~tls_session();
  tls_session(const tls_session&) = delete;
  tls_session& operator=(const tls_session&) = delete;

  /// A client's first flight goes to `out`. Nothing to do on a server.
  void start(byte_sink out);

  /// Of a server, before feed(): takes of `arrived` what belongs to the ClientHello's first record, at the cost of a copy. True once that is
  /// complete, or cannot be one; what is left of `arrived`, maybe nothing, is for feed(), which begins the handshake.
  [[nodiscard]] bool gather_client_hello(std::span<const std::byte>& arrived);

  /// Takes what arrived, all of it, and calls `on_plaintext(std::span<std::byte>)` with what it says, never empty. The
  /// bytes lie in the scratch memory, may be changed, and are gone after the call. Answers of the protocol itself
  /// (handshake, tickets, alerts) go to `out`. `on_plaintext` may call write(), but not feed(), and must not destroy
  /// the session.
  template <typename F> void feed(std::span<const std::byte> ciphertext, tls_scratch& scratch, byte_sink out, F&& on_plaintext) {
    arrived_ = ciphertext;
    for (;;) {
      const std::span<std::byte> plaintext = decrypt(scratch, out);
      if (plaintext.empty()) break;
      on_plaintext(plaintext);
    }
    arrived_ = {};
  }

  /// The socket has nothing more: TCP's end of stream. Tells a clean end from a truncation.
  void end_of_stream();

  /// Encrypts the pieces as one stream, in records as full as they can be, so that all frames of a loop turn belong in
  /// one call. Only while open or peer_closed and before close_notify(); otherwise nothing happens and false is
  /// returned.
  bool write(std::span<const std::span<const std::byte>> pieces, tls_scratch& scratch, byte_sink out);
  bool write(std::span<const std::byte> piece, tls_scratch& scratch, byte_sink out) { return write(std::span{&piece, 1}, scratch, out); }

  /// Says that we will write nothing more. Once; later calls do nothing. What the peer still sends is fed as before.
  void close_notify(byte_sink out);

  [[nodiscard]] tls_state state() const noexcept { return state_; }
  [[nodiscard]] tls_failure failure() const noexcept { return failure_; }
  /// Why it failed, in a sentence's second half, such as "the certificate has expired".
  [[nodiscard]] std::string_view reason() const noexcept { return reason_; }
  [[nodiscard]] bool close_notify_sent() const noexcept { return close_notify_sent_; }
  /// What is held for a record of which only a part has come: the library takes a whole record's room with its first byte.
  [[nodiscard]] std::size_t record_bytes_held() const noexcept {
    return inside_record_ ? tls_record_bytes_max + hello_.capacity() : hello_.capacity();
  }

  /// The views live as long as the session.
  [[nodiscard]] tls_agreement agreement() const;

  /// A client's ticket for the next connection; empty where the server gave none. TLS 1.3 servers send it after the
  /// handshake, so ask when the first data has come or when the connection ends.
  [[nodiscard]] tls_ticket ticket() const;

 private:
  enum class hello : std::uint8_t { incomplete, complete, refused };

  [[nodiscard]] std::span<std::byte> decrypt(tls_scratch& scratch, byte_sink out);
  [[nodiscard]] hello gather_client_hello();
  [[nodiscard]] bool open_as_server();
  [[nodiscard]] bool handshake();
  void adopt(WOLFSSL* session);
  void fail(tls_failure failure, std::string reason);
  void fail_with(int error, tls_failure otherwise);
  [[nodiscard]] bool is_tls_answer();
  void count_records(std::span<const std::byte> ciphertext);

  static int receive(WOLFSSL* session, char* to, int bytes, void* self);
  static int send(WOLFSSL* session, char* from, int bytes, void* self);
  static int on_certificate(int accepted, WOLFSSL_X509_STORE_CTX* chain);

  struct free_session {
    void operator()(WOLFSSL* session) const noexcept;
  };

  std::unique_ptr<WOLFSSL, free_session> session_;
  std::shared_ptr<const tls_context> context_; ///< until the session exists, which then keeps what it needs
  std::span<const std::byte> arrived_;         ///< during feed(): what has not been taken yet
  std::optional<byte_sink> out_;               ///< during a call: where ciphertext goes
  byte_buffer hello_;                          ///< server: a ClientHello that is not complete, or not read yet
  std::size_t hello_read_ = 0;                 ///< of hello_, by the library
  std::array<std::byte, 5> record_header_{};   ///< of the record that the library reads
  std::uint8_t record_header_bytes_ = 0;       ///< how much of it was there
  std::uint32_t record_bytes_left_ = 0;        ///< of that record's body
  std::uint32_t records_without_data_ = 0;     ///< since the last byte of data
  std::string reason_;
  std::string server_name_;
  std::unique_ptr<const certificate_facts> peer_; ///< null where it showed none
  tls_state state_ = tls_state::handshaking;
  tls_failure failure_ = tls_failure::none;
  bool close_notify_sent_ = false;
  bool inside_record_ = false; ///< bytes were taken since the last whole record
  bool answer_seen_ = true; ///< false on a client until the server's first byte was that of a TLS record
};

} // namespace ringcast::engine
