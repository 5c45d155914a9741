// A client's and a server's session, connected by two queues of bytes.
#pragma once

#include "engine/tls/tls_session.hpp"
#include "proto/byte_buffer.hpp"
#include "tests/tls/certificates.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <functional>
#include <memory>
#include <ostream>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ringcast::engine {

inline std::ostream& operator<<(std::ostream& out, tls_state state) {
  constexpr const char* names[] = {"handshaking", "open", "peer_closed", "failed"};
  return out << names[static_cast<std::size_t>(state)];
}
inline std::ostream& operator<<(std::ostream& out, tls_failure failure) {
  constexpr const char* names[] = {"none",         "plain_http",  "not_tls",       "handshake", "refused",
                                   "peer_trouble", "certificate", "broken_record", "truncated"};
  return out << names[static_cast<std::size_t>(failure)];
}

} // namespace ringcast::engine

namespace ringcast {

using namespace engine;

namespace test {

inline std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span{text}); }

/// The suite without its punctuation: wolfSSL builds name it as the RFC does, or as OpenSSL does.
inline std::string cipher_of(const tls_agreement& agreed) {
  std::string name{agreed.cipher};
  std::erase_if(name, [](char letter) { return letter == '-' || letter == '_'; });
  return name;
}

/// How many of the bytes that wait arrive at once.
using splitter = std::function<std::size_t(std::size_t waiting)>;
inline splitter whole() {
  return [](std::size_t waiting) { return waiting; };
}
inline splitter byte_by_byte() {
  return [](std::size_t) { return 1UZ; };
}
inline splitter at_random(unsigned seed) {
  return [random = std::mt19937{seed}](std::size_t waiting) mutable {
    return std::min<std::size_t>(waiting, 1 + random() % (random() % 4 == 0 ? 5000 : 40));
  };
}

inline std::shared_ptr<const tls_context> server_context(const tls_server_options& options) {
  auto loaded = tls_context::load_server(options);
  BOOST_REQUIRE_MESSAGE(loaded, (loaded ? std::string{} : loaded.error()));
  return *loaded;
}
inline std::shared_ptr<const tls_context> server_context(const std::string& name, tls_version oldest = tls_version::tls_1_2) {
  const certificates& made = test_certificates();
  return server_context({.certificates = {{made.pem(name), made.key(name), {}}}, .oldest = oldest});
}
inline std::shared_ptr<const tls_context> client_context(tls_client_options options = {}) {
  if (options.ca_file.empty()) options.ca_file = test_certificates().pem("ca");
  auto loaded = tls_context::load_client(options);
  BOOST_REQUIRE_MESSAGE(loaded, (loaded ? std::string{} : loaded.error()));
  return *loaded;
}

struct tls_pair {
  tls_session client;
  tls_session server;
  byte_buffer to_server; ///< ciphertext under way
  byte_buffer to_client;
  std::string client_heard;
  std::string server_heard;
  std::unique_ptr<tls_scratch> scratch = std::make_unique<tls_scratch>();

  tls_pair(std::shared_ptr<const tls_context> server_side, std::shared_ptr<const tls_context> client_side, std::string_view host = "localhost",
           const tls_ticket& resume = {})
      : client{std::move(client_side), host, resume}, server{std::move(server_side)} {
    client.start(to_server);
  }

  /// Until nothing is under way.
  void settle(const splitter& split = whole()) {
    while (!to_server.empty() || !to_client.empty()) {
      deliver(to_server, server, to_client, server_heard, split);
      deliver(to_client, client, to_server, client_heard, split);
    }
  }
  void say(tls_session& from, std::string_view text) {
    BOOST_REQUIRE(from.write(bytes_of(text), *scratch, &from == &client ? to_server : to_client));
  }
  void expect_open() {
    BOOST_REQUIRE_MESSAGE(client.state() == tls_state::open, client.reason());
    BOOST_REQUIRE_MESSAGE(server.state() == tls_state::open, server.reason());
  }

 private:
  void deliver(byte_buffer& from, tls_session& to, byte_buffer& answers, std::string& heard, const splitter& split) {
    byte_buffer arriving = std::move(from);
    std::span<const std::byte> rest = arriving.bytes();
    while (!rest.empty()) {
      // An allocation of its own for each arrival, so that a sanitizer sees any use after it is gone.
      const std::size_t length = split(rest.size());
      const std::vector<std::byte> piece(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(length));
      to.feed(piece, *scratch, answers, [&](std::span<std::byte> plaintext) {
        heard.append(reinterpret_cast<const char*>(plaintext.data()), plaintext.size());
        std::ranges::fill(plaintext, std::byte{0xee}); // As a frame reader does: it unmasks in place.
      });
      rest = rest.subspan(length);
    }
  }
};

} // namespace test
} // namespace ringcast
