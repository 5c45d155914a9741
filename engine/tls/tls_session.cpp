#include "engine/tls/tls_session.hpp"

#include "engine/tls/wolfssl.hpp"
#include <ringcast/detail/assert.hpp>

#include <algorithm>
#include <arpa/inet.h>
#include <cstring>
#include <fmt/format.h>
#include <utility>

namespace ringcast::engine {
namespace {

constexpr std::string_view application_protocol = "http/1.1";

constexpr std::size_t record_header_bytes = 5;
constexpr std::byte alert_record{21};
constexpr std::byte handshake_record{22};
constexpr std::byte major_version{3};

// The library's search for the server name may look a few bytes past a ClientHello whose lengths contradict each other.
constexpr std::size_t hello_slack_bytes = 64;

// wolfSSL takes lengths as int.
constexpr std::size_t write_bytes_max = std::size_t{1} << 30;

// Sets the sink for the length of a call. A handler may write while it is fed, so calls nest.
class sink_scope {
 public:
  sink_scope(std::optional<byte_sink>& place, byte_sink out) noexcept : place_{place}, before_{place} { place = out; }
  ~sink_scope() { place_ = before_; }
  sink_scope(const sink_scope&) = delete;
  sink_scope& operator=(const sink_scope&) = delete;

 private:
  std::optional<byte_sink>& place_;
  std::optional<byte_sink> before_;
};

// The name as it is compared with the certificate's: an IPv6 address in the one spelling that wolfSSL gives those in a
// certificate, anything else as it is.
struct peer_name {
  std::string text;
  bool is_address;
};
peer_name name_of(std::string_view host) {
  const std::string text{host};
  in_addr v4{};
  if (inet_pton(AF_INET, text.c_str(), &v4) == 1) return {text, true};
  in6_addr v6{};
  if (inet_pton(AF_INET6, text.c_str(), &v6) != 1) return {text, false};
  std::string groups;
  for (std::size_t i = 0; i < 16; i += 2) groups += fmt::format("{}{:02X}{:02X}", i == 0 ? "" : ":", v6.s6_addr[i], v6.s6_addr[i + 1]);
  return {groups, true};
}

// The first bytes of a connection. A request line starts with a method in capitals.
enum class first_bytes : std::uint8_t { undecided, tls, plain_http, noise };

first_bytes judge(std::span<const std::byte> bytes) noexcept {
  if (bytes.empty()) return first_bytes::undecided;
  if (bytes[0] == handshake_record) return bytes.size() >= 2 && bytes[1] != major_version ? first_bytes::noise : first_bytes::tls;
  const auto is_capital = [](std::byte octet) { return octet >= std::byte{'A'} && octet <= std::byte{'Z'}; };
  if (!std::ranges::all_of(bytes.first(std::min<std::size_t>(bytes.size(), 3)), is_capital)) return first_bytes::noise;
  return bytes.size() >= 3 ? first_bytes::plain_http : first_bytes::undecided;
}

} // namespace

void tls_session::free_session::operator()(WOLFSSL* session) const noexcept { wolfSSL_free(session); }

tls_session::tls_session(std::shared_ptr<const tls_context> server) : context_{std::move(server)} {
  RINGCAST_ASSERT(context_ != nullptr && context_->is_server());
}

tls_session::tls_session(std::shared_ptr<const tls_context> client, std::string_view host, const tls_ticket& resume) {
  RINGCAST_ASSERT(client != nullptr && !client->is_server());
  answer_seen_ = false;
  adopt(wolfSSL_new(client->of_host({})));
  if (session_ == nullptr) {
    fail(tls_failure::handshake, "no memory for a TLS session");
    return;
  }
  WOLFSSL* const session = session_.get();
  const peer_name name = name_of(host);
  if (!name.is_address) server_name_ = name.text; // SNI is for names only (RFC 6066 3).
  wolfSSL_set_verify(session, client->verifies_peer() ? WOLFSSL_VERIFY_PEER : WOLFSSL_VERIFY_NONE, on_certificate);
  const bool prepared = (server_name_.empty() || wolfSSL_UseSNI(session, WOLFSSL_SNI_HOST_NAME, server_name_.data(),
                                                                static_cast<unsigned short>(server_name_.size())) == WOLFSSL_SUCCESS) &&
                        (!client->verifies_peer() || wolfSSL_check_domain_name(session, name.text.c_str()) == WOLFSSL_SUCCESS);
  if (!prepared) {
    fail(tls_failure::handshake, "no memory for a TLS session");
    return;
  }
  // A ticket that has expired is refused here, and the handshake is a full one.
  if (resume) wolfSSL_set_session(session, resume.session_.get());
}

tls_session::~tls_session() = default;

void tls_session::adopt(WOLFSSL* session) {
  session_.reset(session);
  if (session == nullptr) return;
  wolfSSL_SSLSetIORecv(session, receive);
  wolfSSL_SSLSetIOSend(session, send);
  wolfSSL_SetIOReadCtx(session, this);
  wolfSSL_SetIOWriteCtx(session, this);
  wolfSSL_SetCertCbCtx(session, this);
  std::string protocols{application_protocol};
  wolfSSL_UseALPN(session, protocols.data(), static_cast<unsigned>(protocols.size()), WOLFSSL_ALPN_FAILED_ON_MISMATCH);
}

// ---- in -------------------------------------------------------------------------------------------------------------

void tls_session::start(byte_sink out) {
  if (session_ == nullptr || state_ != tls_state::handshaking) return;
  const sink_scope scope{out_, out};
  (void)handshake();
}

std::span<std::byte> tls_session::decrypt(tls_scratch& scratch, byte_sink out) {
  const sink_scope scope{out_, out};
  if (state_ == tls_state::handshaking) {
    if (session_ == nullptr && (gather_client_hello() != hello::complete || !open_as_server())) return {};
    if (!is_tls_answer()) return {};
    if (!handshake()) return {};
  }
  std::size_t filled = 0;
  while (state_ == tls_state::open && scratch.plaintext.size() - filled >= tls_record_bytes_max) {
    const int read = wolfSSL_read(session_.get(), scratch.plaintext.data() + filled, tls_record_bytes_max);
    if (read > 0) {
      records_without_data_ = 0;
      inside_record_ = false;
      filled += static_cast<std::size_t>(read);
      continue;
    }
    const int error = wolfSSL_get_error(session_.get(), read);
    if (error == WOLFSSL_ERROR_WANT_READ) break;
    if (error == WOLFSSL_ERROR_ZERO_RETURN) {
      state_ = tls_state::peer_closed;
    } else {
      fail_with(error, tls_failure::broken_record);
    }
  }
  return {scratch.plaintext.data(), filled};
}

bool tls_session::gather_client_hello(std::span<const std::byte>& arrived) {
  if (state_ != tls_state::handshaking || session_ != nullptr) return true;
  arrived_ = arrived;
  const hello now = gather_client_hello();
  arrived = std::exchange(arrived_, {});
  return now != hello::incomplete;
}

// Nothing is allocated for TLS before a whole first record is there: it tells TLS from plain HTTP and from noise, and
// its server name decides which certificate the session is made with.
tls_session::hello tls_session::gather_client_hello() {
  const auto take = [this](std::size_t up_to) {
    const std::size_t wanted = up_to - std::min(up_to, hello_.size());
    const std::size_t taken = std::min(wanted, arrived_.size());
    hello_.append(arrived_.first(taken));
    arrived_ = arrived_.subspan(taken);
    return hello_.size() >= up_to;
  };
  const bool has_header = take(record_header_bytes);
  const std::span<const std::byte> start = hello_.bytes();
  switch (judge(start)) {
  case first_bytes::undecided: return hello::incomplete;
  case first_bytes::tls: break;
  case first_bytes::plain_http: fail(tls_failure::plain_http, "the client speaks plain HTTP on a port for TLS"); return hello::refused;
  case first_bytes::noise: fail(tls_failure::not_tls, "the first bytes are not a TLS handshake"); return hello::refused;
  }
  if (!has_header) return hello::incomplete;
  const std::size_t length = std::to_integer<std::size_t>(start[3]) << 8 | std::to_integer<std::size_t>(start[4]);
  if (length == 0 || length > tls_client_hello_bytes_max) {
    fail(tls_failure::not_tls, "the first record is longer than any ClientHello, or empty");
    return hello::refused;
  }
  // What a peer announces costs nothing: memory grows with what has come.
  return take(record_header_bytes + length) ? hello::complete : hello::incomplete;
}

// A server that does not speak TLS says so with its first byte; the library would wait for a whole record header and
// then know less. A server's session has looked at its ClientHello already.
bool tls_session::is_tls_answer() {
  if (answer_seen_ || arrived_.empty()) return true;
  const std::byte first = arrived_.front();
  answer_seen_ = first == handshake_record || first == alert_record;
  if (answer_seen_) return true;
  fail(tls_failure::not_tls,
       first == std::byte{'H'} ? "the server speaks plain HTTP on this port and not TLS" : "the server's first bytes are not TLS");
  return false;
}

bool tls_session::open_as_server() {
  // The slack is zeroed and then forgotten: it only keeps the search below inside our memory.
  const std::span<std::byte> slack = hello_.prepare(hello_slack_bytes);
  std::memset(slack.data(), 0, hello_slack_bytes);
  std::array<unsigned char, 256> name{};
  unsigned name_bytes = name.size() - 1;
  if (wolfSSL_SNI_GetFromBuffer(reinterpret_cast<const unsigned char*>(hello_.data()), static_cast<unsigned>(hello_.size()), WOLFSSL_SNI_HOST_NAME,
                                name.data(), &name_bytes) == WOLFSSL_SUCCESS) {
    server_name_.assign(reinterpret_cast<const char*>(name.data()), name_bytes);
  }
  adopt(wolfSSL_new(context_->of_host(server_name_)));
  if (session_ == nullptr) {
    fail(tls_failure::handshake, "no memory for a TLS session");
    return false;
  }
  if (context_->verifies_peer()) wolfSSL_set_verify(session_.get(), WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT, on_certificate);
  context_.reset();
  return true;
}

// True once it is over and good.
bool tls_session::handshake() {
  const int result = wolfSSL_negotiate(session_.get());
  if (hello_read_ == hello_.size()) {
    hello_.release();
    hello_read_ = 0;
  }
  if (result == WOLFSSL_SUCCESS) {
    state_ = tls_state::open;
    return true;
  }
  const int error = wolfSSL_get_error(session_.get(), result);
  if (error != WOLFSSL_ERROR_WANT_READ) fail_with(error, tls_failure::handshake);
  return false;
}

void tls_session::end_of_stream() {
  if (state_ == tls_state::handshaking) {
    fail(tls_failure::handshake, "the peer closed the connection in the middle of the handshake");
  } else if (state_ == tls_state::open) {
    fail(tls_failure::truncated, "the connection ended without close_notify");
  }
}

// ---- out ------------------------------------------------------------------------------------------------------------

bool tls_session::write(std::span<const std::span<const std::byte>> pieces, tls_scratch& scratch, byte_sink out) {
  if ((state_ != tls_state::open && state_ != tls_state::peer_closed) || close_notify_sent_) return false;
  const sink_scope scope{out_, out};
  const auto encrypt = [this](std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const std::size_t step = std::min(bytes.size(), write_bytes_max);
      const int written = wolfSSL_write(session_.get(), bytes.data(), static_cast<int>(step));
      if (written <= 0) {
        fail_with(wolfSSL_get_error(session_.get(), written), tls_failure::broken_record);
        return false;
      }
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
    return true;
  };

  const std::span<std::byte> record{scratch.record};
  std::size_t filled = 0;
  for (std::size_t at = 0; at < pieces.size(); ++at) {
    std::span<const std::byte> piece = pieces[at];
    const bool is_last = at + 1 == pieces.size();
    while (!piece.empty()) {
      // What fills records by itself, or is alone, needs no joining.
      if (filled == 0 && (is_last || piece.size() >= record.size())) {
        const std::size_t whole = is_last ? piece.size() : piece.size() / record.size() * record.size();
        if (!encrypt(piece.first(whole))) return false;
        piece = piece.subspan(whole);
        continue;
      }
      const std::size_t taken = std::min(piece.size(), record.size() - filled);
      std::memcpy(record.data() + filled, piece.data(), taken);
      filled += taken;
      piece = piece.subspan(taken);
      if (filled == record.size()) {
        if (!encrypt(record)) return false;
        filled = 0;
      }
    }
  }
  return encrypt(record.first(filled));
}

void tls_session::close_notify(byte_sink out) {
  if (close_notify_sent_ || (state_ != tls_state::open && state_ != tls_state::peer_closed)) return;
  const sink_scope scope{out_, out};
  close_notify_sent_ = true;
  (void)wolfSSL_shutdown(session_.get());
}

// ---- the library's side ---------------------------------------------------------------------------------------------

int tls_session::receive(WOLFSSL*, char* to, int bytes, void* self) {
  tls_session& session = *static_cast<tls_session*>(self);
  const auto wanted = static_cast<std::size_t>(bytes);
  if (const std::size_t kept = session.hello_.size() - session.hello_read_; kept > 0) {
    const std::size_t taken = std::min(kept, wanted);
    std::memcpy(to, session.hello_.data() + session.hello_read_, taken);
    session.hello_read_ += taken;
    return static_cast<int>(taken);
  }
  if (session.arrived_.empty()) return WOLFSSL_CBIO_ERR_WANT_READ;
  const std::size_t taken = std::min(session.arrived_.size(), wanted);
  session.count_records(session.arrived_.first(taken));
  if (session.records_without_data_ > tls_records_without_data_max) return WOLFSSL_CBIO_ERR_GENERAL;
  std::memcpy(to, session.arrived_.data(), taken);
  session.arrived_ = session.arrived_.subspan(taken);
  session.inside_record_ = true;
  return static_cast<int>(taken);
}

// What a record holds is only known to the library, which tells of data and of nothing else; where records begin is said in clear text.
void tls_session::count_records(std::span<const std::byte> ciphertext) {
  while (!ciphertext.empty()) {
    const std::size_t skipped = std::min<std::size_t>(record_bytes_left_, ciphertext.size());
    record_bytes_left_ -= static_cast<std::uint32_t>(skipped);
    ciphertext = ciphertext.subspan(skipped);
    if (ciphertext.empty()) return;
    record_header_[record_header_bytes_++] = ciphertext.front();
    ciphertext = ciphertext.subspan(1);
    if (record_header_bytes_ < record_header_.size()) continue;
    record_header_bytes_ = 0;
    record_bytes_left_ = std::to_integer<std::uint32_t>(record_header_[3]) << 8 | std::to_integer<std::uint32_t>(record_header_[4]);
    ++records_without_data_;
  }
}

int tls_session::send(WOLFSSL*, char* from, int bytes, void* self) {
  tls_session& session = *static_cast<tls_session*>(self);
  RINGCAST_ASSERT(session.out_.has_value());
  session.out_->append(std::as_bytes(std::span{from, static_cast<std::size_t>(bytes)}));
  return bytes;
}

// Called for the peer's own certificate, and for each one that is not accepted. It decides nothing.
int tls_session::on_certificate(int accepted, WOLFSSL_X509_STORE_CTX* chain) {
  if (chain->userCtx != nullptr && chain->error_depth == 0 && chain->totalCerts > 0) {
    tls_session& session = *static_cast<tls_session*>(chain->userCtx);
    session.peer_ = std::make_unique<const certificate_facts>(read_certificate({chain->certs[0].buffer, chain->certs[0].length}));
  }
  return accepted;
}

void tls_session::fail(tls_failure failure, std::string reason) {
  if (state_ == tls_state::failed) return;
  state_ = tls_state::failed;
  failure_ = failure;
  reason_ = std::move(reason);
  hello_.release();
  hello_read_ = 0;
}

void tls_session::fail_with(int error, tls_failure otherwise) {
  if (records_without_data_ > tls_records_without_data_max) return fail(tls_failure::broken_record, "too many records without data");
  tls_failure kind = is_certificate_error(error) ? tls_failure::certificate : otherwise;
  switch (fatal_alert_of_peer(error, session_.get())) {
  case peer_alert::none: break;
  case peer_alert::trouble: kind = tls_failure::peer_trouble; break;
  case peer_alert::refusal: kind = tls_failure::refused; break;
  }
  fail(kind, describe_wolfssl_error(error, session_.get()));
}

tls_agreement tls_session::agreement() const {
  tls_agreement agreed{.server_name = server_name_};
  if (peer_ != nullptr) {
    agreed.peer_subject = peer_->subject;
    agreed.peer_common_name = peer_->common_name;
    agreed.peer_names = peer_->alternatives;
  }
  if (session_ == nullptr || state_ == tls_state::handshaking) return agreed;
  WOLFSSL* const session = session_.get();
  if (const char* const version = wolfSSL_get_version(session); version != nullptr) agreed.version = version;
  if (const char* const cipher = wolfSSL_get_cipher(session); cipher != nullptr) agreed.cipher = cipher;
  char* protocol = nullptr;
  unsigned short protocol_bytes = 0;
  if (wolfSSL_ALPN_GetProtocol(session, &protocol, &protocol_bytes) == WOLFSSL_SUCCESS) agreed.alpn = {protocol, protocol_bytes};
  agreed.resumed = wolfSSL_session_reused(session) == 1;
  return agreed;
}

tls_ticket tls_session::ticket() const {
  tls_ticket taken;
  if (session_ == nullptr || (state_ != tls_state::open && state_ != tls_state::peer_closed)) return taken;
  // A copy of its own, because the library goes on to change the session's.
  if (WOLFSSL_SESSION* const now = wolfSSL_get1_session(session_.get()); now != nullptr) {
    taken.session_ = {wolfSSL_SESSION_dup(now), [](WOLFSSL_SESSION* held) { wolfSSL_SESSION_free(held); }};
    wolfSSL_SESSION_free(now);
  }
  return taken;
}

} // namespace ringcast::engine
