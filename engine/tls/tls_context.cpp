#include "engine/tls/tls_context.hpp"

#include "engine/tls/wolfssl.hpp"

#include <array>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <fstream>
#include <map>
#include <mutex>
#include <sys/stat.h>

namespace ringcast::engine {

struct tls_context::certificate_entry {
  wolfssl_context context;
  std::vector<std::string> host_names; ///< in lower case
};

namespace {

using sentence = std::unexpected<std::string>;

// The largest PEM file that is read: a system's store of authorities is about 220 KB.
constexpr std::streamoff file_bytes_max = 16 << 20;

std::expected<std::string, std::string> read_file(const std::string& path, std::string_view what) {
  struct stat found{};
  if (stat(path.c_str(), &found) != 0) return sentence{fmt::format("{} {}: {}", what, path, std::strerror(errno))};
  if (!S_ISREG(found.st_mode)) return sentence{fmt::format("{} {}: not a regular file", what, path)};
  if (found.st_size > file_bytes_max) return sentence{fmt::format("{} {}: larger than 16 MiB", what, path)};
  std::ifstream file(path, std::ios::binary);
  std::string content(static_cast<std::size_t>(found.st_size), '\0');
  if (!file.read(content.data(), found.st_size)) return sentence{fmt::format("{} {}: {}", what, path, std::strerror(errno))};
  return content;
}

std::string lower(std::string_view name) {
  std::string out(name);
  for (char& letter : out) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  if (!out.empty() && out.back() == '.') out.pop_back();
  return out;
}

// RFC 6125 6.4.3: a "*" stands for exactly one label, the first.
bool answers_to(std::string_view pattern, std::string_view host) noexcept {
  if (pattern.starts_with("*.")) {
    const std::size_t dot = host.find('.');
    return dot != std::string_view::npos && dot > 0 && host.substr(dot) == pattern.substr(1);
  }
  return pattern == host;
}

const std::uint8_t* raw(const std::string& text) noexcept { return reinterpret_cast<const std::uint8_t*>(text.data()); }

std::expected<void, std::string> use_certificate(WOLFSSL_CTX* context, const std::string& chain_file, const std::string& chain,
                                                 const std::string& key_file) {
  int result = wolfSSL_CTX_use_certificate_chain_buffer(context, raw(chain), static_cast<long>(chain.size()));
  if (result != WOLFSSL_SUCCESS) {
    return sentence{fmt::format("certificate {}: no usable certificate in PEM form: {}", chain_file, describe_wolfssl_error(result, nullptr))};
  }
  const auto key = read_file(key_file, "private key");
  if (!key) return sentence{key.error()};
  result = wolfSSL_CTX_use_PrivateKey_buffer(context, raw(*key), static_cast<long>(key->size()), WOLFSSL_FILETYPE_PEM);
  if (result != WOLFSSL_SUCCESS) {
    return sentence{
        fmt::format("private key {}: no usable key in PEM form without a password: {}", key_file, describe_wolfssl_error(result, nullptr))};
  }
  if (wolfSSL_CTX_check_private_key(context) != WOLFSSL_SUCCESS)
    return sentence{fmt::format("private key {}: does not belong to the certificate {}", key_file, chain_file)};
  return {};
}

// Each certificate of a PEM file is loaded by itself. In the system's store one that wolfSSL cannot read must not hide
// the others; in a file that was named here it is an error.
enum class unreadable : std::uint8_t { skipped, refused };

std::expected<void, std::string> trust(WOLFSSL_CTX* context, const std::string& file, unreadable policy) {
  const auto pem = read_file(file, "certificate authorities");
  if (!pem) return sentence{pem.error()};
  constexpr std::string_view begin = "-----BEGIN CERTIFICATE-----";
  constexpr std::string_view end = "-----END CERTIFICATE-----";
  std::size_t loaded = 0;
  for (std::size_t at = pem->find(begin); at != std::string::npos;) {
    const std::size_t last = pem->find(end, at);
    if (last == std::string::npos) break;
    const std::size_t length = last + end.size() - at;
    const std::string one = pem->substr(at, length) + "\n";
    const int result = wolfSSL_CTX_load_verify_buffer(context, raw(one), static_cast<long>(one.size()), WOLFSSL_FILETYPE_PEM);
    if (result == WOLFSSL_SUCCESS) {
      ++loaded;
    } else if (policy == unreadable::refused) {
      return sentence{fmt::format("certificate authorities {}: {}", file, describe_wolfssl_error(result, nullptr))};
    }
    at = pem->find(begin, at + length);
  }
  if (loaded == 0) return sentence{fmt::format("certificate authorities {}: no usable certificate in PEM form", file)};
  return {};
}

std::string system_store() {
  if (const char* const named = std::getenv("SSL_CERT_FILE"); named != nullptr && *named != '\0') return named;
  constexpr std::array candidates{
      "/etc/ssl/certs/ca-certificates.crt", // Debian, Ubuntu, Arch, Alpine
      "/etc/pki/tls/certs/ca-bundle.crt",   // Fedora, RHEL
      "/etc/ssl/ca-bundle.pem",             // openSUSE
      "/etc/ssl/cert.pem",
  };
  for (const char* const candidate : candidates)
    if (struct stat found{}; stat(candidate, &found) == 0) return candidate;
  return candidates.front();
}

// Suites with forward secrecy and authenticated encryption, and no others. Servers choose by this order: AES-128-GCM is
// the cheapest where there are AES instructions.
constexpr const char* cipher_suites = "TLS13-AES128-GCM-SHA256:TLS13-AES256-GCM-SHA384:TLS13-CHACHA20-POLY1305-SHA256:"
                                      "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                                      "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                                      "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

[[nodiscard]] bool choose_protocol(WOLFSSL_CTX* context, tls_version oldest, tls_version newest) {
  if (context == nullptr || wolfSSL_CTX_set_cipher_list(context, cipher_suites) != WOLFSSL_SUCCESS) return false;
  if (newest == tls_version::tls_1_2) return oldest == newest; // The method chosen speaks this one version.
  const int version = oldest == tls_version::tls_1_3 ? WOLFSSL_TLSV1_3 : WOLFSSL_TLSV1_2;
  return wolfSSL_CTX_SetMinVersion(context, version) == WOLFSSL_SUCCESS;
}

} // namespace

tls_context::tls_context(bool is_server) : is_server_{is_server} {}
tls_context::~tls_context() = default;

std::expected<std::shared_ptr<const tls_context>, std::string> tls_context::load_server(const tls_server_options& options) {
  start_wolfssl();
  if (options.certificates.empty()) return sentence{"TLS needs at least one certificate"};
  std::shared_ptr<tls_context> made{new tls_context{true}};
  for (const tls_certificate& certificate : options.certificates) {
    const auto chain = read_file(certificate.chain_file, "certificate");
    if (!chain) return sentence{chain.error()};
    certificate_entry entry;
    entry.context.reset(wolfSSL_CTX_new(options.newest == tls_version::tls_1_2 ? wolfTLSv1_2_server_method() : wolfSSLv23_server_method()));
    WOLFSSL_CTX* const context = entry.context.get();
    if (!choose_protocol(context, options.oldest, options.newest)) return sentence{"this wolfSSL cannot speak the TLS versions asked for"};
    // Tickets carry the session to the client; the library's cache of a few sessions, behind locks, serves nobody here.
    wolfSSL_CTX_set_session_cache_mode(context, WOLFSSL_SESS_CACHE_OFF);
    if (!options.session_tickets) {
      wolfSSL_CTX_no_ticket_TLSv13(context);
      wolfSSL_CTX_NoTicketTLSv12(context);
    }
    if (const auto used = use_certificate(context, certificate.chain_file, *chain, certificate.key_file); !used) return sentence{used.error()};
    if (options.client_ca_file.empty()) {
      wolfSSL_CTX_set_verify(context, WOLFSSL_VERIFY_NONE, nullptr);
    } else {
      if (const auto trusted = trust(context, options.client_ca_file, unreadable::refused); !trusted) return sentence{trusted.error()};
      made->verifies_peer_ = true;
    }
    for (const std::string& name : certificate.host_names.empty() ? read_first_certificate(*chain).names : certificate.host_names)
      entry.host_names.push_back(lower(name));
    made->entries_.push_back(std::move(entry));
  }
  return made;
}

std::expected<std::shared_ptr<const tls_context>, std::string> tls_context::load_client(const tls_client_options& options) {
  start_wolfssl();
  std::shared_ptr<tls_context> made{new tls_context{false}};
  certificate_entry entry;
  entry.context.reset(wolfSSL_CTX_new(options.newest == tls_version::tls_1_2 ? wolfTLSv1_2_client_method() : wolfSSLv23_client_method()));
  WOLFSSL_CTX* const context = entry.context.get();
  if (!choose_protocol(context, options.oldest, options.newest)) return sentence{"this wolfSSL cannot speak the TLS versions asked for"};
  wolfSSL_CTX_UseSessionTicket(context);
  if (options.verification == tls_verification::on) {
    const bool own = !options.ca_file.empty();
    const auto trusted = trust(context, own ? options.ca_file : system_store(), own ? unreadable::refused : unreadable::skipped);
    if (!trusted) return sentence{trusted.error()};
    made->verifies_peer_ = true;
  }
  if (!options.certificate_chain_file.empty()) {
    const auto chain = read_file(options.certificate_chain_file, "certificate");
    if (!chain) return sentence{chain.error()};
    const auto used = use_certificate(context, options.certificate_chain_file, *chain, options.certificate_key_file);
    if (!used) return sentence{used.error()};
  }
  made->entries_.push_back(std::move(entry));
  return made;
}

std::expected<std::shared_ptr<const tls_context>, std::string> tls_context::shared_client(const tls_client_options& options) {
  static std::mutex lock;
  // The system's store is named by the environment, which a program may change between two clients.
  using key = std::pair<tls_client_options, std::string>;
  static std::map<key, std::weak_ptr<const tls_context>> contexts;
  const std::lock_guard held{lock};
  const key wanted{options, options.ca_file.empty() ? system_store() : std::string{}};
  if (const auto found = contexts.find(wanted); found != contexts.end())
    if (auto context = found->second.lock()) return context;
  auto loaded = load_client(options);
  if (!loaded) return loaded;
  std::erase_if(contexts, [](const auto& entry) { return entry.second.expired(); });
  contexts[wanted] = *loaded;
  return loaded;
}

WOLFSSL_CTX* tls_context::of_host(std::string_view host_name) const noexcept {
  if (entries_.size() > 1 && !host_name.empty()) {
    const std::string host = lower(host_name);
    // A name in full goes before a wildcard, whatever the order of the certificates.
    for (const bool wildcards : {false, true})
      for (const certificate_entry& entry : entries_)
        for (const std::string& name : entry.host_names)
          if (name.starts_with("*.") == wildcards && answers_to(name, host)) return entry.context.get();
  }
  return entries_.front().context.get();
}

std::string tls_library_description() {
#if defined(WOLFSSL_AESNI) || defined(WOLFSSL_ARMASM)
  return fmt::format("wolfSSL {} with AES instructions", wolfSSL_lib_version());
#else
  return fmt::format("wolfSSL {} without AES instructions: about 0.17 GB/s AES-128-GCM instead of 5.3 GB/s; "
                     "tools/build-wolfssl builds the fast one",
                     wolfSSL_lib_version());
#endif
}

} // namespace ringcast::engine
