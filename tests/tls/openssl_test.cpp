// The openssl program as the other end, over loopback: what two of our own sessions agree on might be our own mistake.
#include "tests/tls/pair.hpp"

#include <arpa/inet.h>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace ringcast {

using namespace engine;
namespace {

using namespace test;

constexpr int patience_ms = 20'000;

// A socket and what a session needs around it; blocking, with a deadline for each wait.
class socket_end {
 public:
  explicit socket_end(int socket) : socket_{socket} {}
  ~socket_end() { close(); }
  socket_end(const socket_end&) = delete;
  socket_end& operator=(const socket_end&) = delete;

  byte_buffer out;
  std::string heard;
  tls_scratch& scratch() { return *scratch_; }

  void flush() {
    // The other end may be gone already.
    (void)!::send(socket_, out.data(), out.size(), MSG_NOSIGNAL);
    out.clear();
  }
  void close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }
  // Feeds until `done`, or until the stream or the patience ends.
  void run(tls_session& session, const std::function<bool()>& done) {
    flush();
    while (!done() && session.state() != tls_state::failed) {
      pollfd waiting{socket_, POLLIN, 0};
      if (poll(&waiting, 1, patience_ms) != 1) return;
      std::array<std::byte, 4096> piece;
      const ssize_t got = recv(socket_, piece.data(), piece.size(), 0);
      if (got <= 0) return session.end_of_stream();
      session.feed(std::span{piece}.first(static_cast<std::size_t>(got)), *scratch_, out,
                   [&](auto plaintext) { heard.append(reinterpret_cast<const char*>(plaintext.data()), plaintext.size()); });
      flush();
    }
  }

 private:
  int socket_;
  std::unique_ptr<tls_scratch> scratch_ = std::make_unique<tls_scratch>();
};

struct listener {
  int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int port = 0;

  listener() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    BOOST_REQUIRE(bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    BOOST_REQUIRE(listen(socket, 4) == 0);
    socklen_t length = sizeof address;
    getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length);
    port = ntohs(address.sin_port);
  }
  ~listener() { ::close(socket); }
  int accept() const {
    pollfd waiting{socket, POLLIN, 0};
    BOOST_REQUIRE(poll(&waiting, 1, patience_ms) == 1);
    return accept4(socket, nullptr, nullptr, SOCK_CLOEXEC);
  }
};

// A shell line in the folder of the certificates, in a thread; its output is read when it has ended.
class shell {
 public:
  explicit shell(const std::string& line)
      : output_file_{test_certificates().path("output-" + std::to_string(++count))}, thread_{[this, line] {
          const std::string whole = "cd '" + test_certificates().path("") + "' && timeout 30 sh -c '" + line + "' >'" + output_file_ + "' 2>&1";
          status_ = std::system(whole.c_str());
        }} {}
  ~shell() { (void)output(); }
  shell(const shell&) = delete;
  shell& operator=(const shell&) = delete;

  std::string output() {
    if (thread_.joinable()) thread_.join();
    std::ifstream file(output_file_, std::ios::binary);
    return {std::istreambuf_iterator<char>{file}, {}};
  }

 private:
  static inline int count = 0;
  std::string output_file_;
  int status_ = -1;
  std::thread thread_;
};

// Serves one s_client that says one line, answers it, and closes as it should be done.
struct served {
  std::string heard, version, cipher, server_name, alpn, subject, reason, output;
  bool resumed = false;
  tls_state state = tls_state::handshaking;
};
served serve(const std::shared_ptr<const tls_context>& context, const std::string& client_options, const std::string& input = "printf \"hello\\n\"") {
  const listener here;
  shell client("(" + input + ") | openssl s_client -connect 127.0.0.1:" + std::to_string(here.port) + " -CAfile ca.pem -verify_return_error " +
               client_options);
  tls_session session(context);
  socket_end end(here.accept());
  end.run(session, [&] { return end.heard.ends_with('\n'); });
  served seen;
  const tls_agreement agreed = session.agreement();
  seen.version = agreed.version;
  seen.cipher = cipher_of(agreed);
  seen.server_name = agreed.server_name;
  seen.alpn = agreed.alpn;
  seen.subject = agreed.peer_subject;
  seen.resumed = agreed.resumed;
  seen.state = session.state();
  seen.reason = session.reason();
  session.write(bytes_of("welcome, " + end.heard), end.scratch(), end.out);
  session.close_notify(end.out);
  end.flush();
  seen.heard = end.heard;
  end.close();
  seen.output = client.output();
  return seen;
}

BOOST_AUTO_TEST_SUITE(openssl_program)

BOOST_AUTO_TEST_CASE(s_client_in_every_version_suite_and_group) {
  struct row {
    std::string certificate, options, version, cipher;
  };
  const std::vector<row> rows{
      {"localhost", "-tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256", "TLSv1.3", "AES128GCMSHA256"},
      {"rsa", "-tls1_3 -ciphersuites TLS_AES_256_GCM_SHA384", "TLSv1.3", "AES256GCMSHA384"},
      {"deep", "-tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256", "TLSv1.3", "CHACHA20POLY1305"},
      {"localhost", "-groups X25519", "TLSv1.3", "AES128GCMSHA256"},
      {"localhost", "-groups P-256", "TLSv1.3", "AES128GCMSHA256"},
      {"localhost", "-groups P-384:P-256", "TLSv1.3", "AES128GCMSHA256"},
      {"localhost", "-tls1_2", "TLSv1.2", "AES128GCMSHA256"},
      {"rsa", "-tls1_2 -groups X25519", "TLSv1.2", "AES128GCMSHA256"},
      {"rsa", "-tls1_2 -cipher ECDHE-RSA-AES256-GCM-SHA384", "TLSv1.2", "AES256GCMSHA384"},
      {"deep", "-tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305", "TLSv1.2", "CHACHA20POLY1305"},
  };
  for (const row& one : rows) {
    BOOST_TEST_CONTEXT(one.certificate << " " << one.options) {
      const served seen =
          serve(server_context(one.certificate), "-quiet -servername localhost -verify_hostname localhost -alpn h2,http/1.1 " + one.options);
      BOOST_TEST(seen.heard == "hello\n", seen.output << seen.reason);
      BOOST_TEST(seen.version == one.version);
      BOOST_TEST(seen.cipher.find(one.cipher) != std::string::npos, seen.cipher);
      BOOST_TEST(seen.server_name == "localhost");
      BOOST_TEST(seen.alpn == "http/1.1");
      BOOST_TEST(seen.output.find("welcome, hello") != std::string::npos, seen.output);
    }
  }
}

BOOST_AUTO_TEST_CASE(s_client_that_does_not_fit) {
  const auto server_side = server_context("localhost");
  const served old = serve(server_side, "-quiet -tls1_1 -cipher DEFAULT@SECLEVEL=0");
  BOOST_TEST(old.state == tls_state::failed);
  BOOST_TEST(old.reason == "the peer speaks no TLS version that is allowed here");
  const served weak = serve(server_side, "-quiet -tls1_2 -cipher ECDHE-ECDSA-AES128-SHA");
  BOOST_TEST(weak.state == tls_state::failed);
  BOOST_TEST(weak.reason == "no cipher suite in common");
  const served other = serve(server_side, "-quiet -alpn h2");
  BOOST_TEST(other.state == tls_state::failed);
  BOOST_TEST(other.reason == "no application protocol in common (ALPN)");
  BOOST_TEST(other.output.find("no application protocol") != std::string::npos, other.output);
}

BOOST_AUTO_TEST_CASE(s_client_with_a_certificate) {
  const certificates& made = test_certificates();
  const auto server_side = server_context({.certificates = {{made.pem("localhost"), made.key("localhost"), {}}}, .client_ca_file = made.pem("ca")});
  for (const std::string version : {"-tls1_2", "-tls1_3"}) {
    const served known = serve(server_side, "-quiet -cert client.pem -key client.key " + version);
    BOOST_TEST(known.heard == "hello\n", known.output << known.reason);
    BOOST_TEST(known.subject == "/O=Ringcast/CN=client-7");
    const served nobody = serve(server_side, "-quiet " + version);
    BOOST_TEST(nobody.state == tls_state::failed);
    BOOST_TEST(nobody.reason == "the peer sent no certificate");
  }
}

BOOST_AUTO_TEST_CASE(s_client_resumes_by_ticket) {
  const auto server_side = server_context("localhost");
  for (const std::string version : {"-tls1_2", "-tls1_3"}) {
    const served first = serve(server_side, "-quiet -sess_out session " + version);
    BOOST_TEST(!first.resumed);
    const served second = serve(server_side, "-quiet -sess_in session " + version);
    BOOST_TEST(second.resumed, second.output);
    BOOST_TEST(second.heard == "hello\n");
  }
}

BOOST_AUTO_TEST_CASE(renegotiation_is_refused) {
  // s_client reads R as the order to renegotiate. TLS 1.3 has no such thing, so 1.2 it is.
  const served seen = serve(server_context("localhost"), "-tls1_2", "printf \"hel\"; sleep 1; printf \"R\\n\"; sleep 1");
  BOOST_TEST(seen.heard == "hel");
  BOOST_TEST(seen.state == tls_state::failed);
  BOOST_TEST(seen.reason == "a handshake message out of turn: renegotiation is not allowed here");
}

BOOST_AUTO_TEST_CASE(our_client_and_s_server) {
  const auto client_side = client_context();
  for (const std::string options : {"-tls1_3", "-tls1_2", "-tls1_3 -groups X25519", "-ciphersuites TLS_CHACHA20_POLY1305_SHA256",
                                    "-tls1_2 -cipher ECDHE-ECDSA-AES256-GCM-SHA384"}) {
    BOOST_TEST_CONTEXT(options) {
      int port = 0;
      {
        port = listener{}.port;
      } // Free again, and rarely given to anybody else so soon.
      shell server("openssl s_server -accept 127.0.0.1:" + std::to_string(port) +
                   " -cert localhost.pem -key localhost.key -alpn http/1.1 -rev -naccept 1 " + options + " </dev/null");
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      address.sin_port = htons(static_cast<std::uint16_t>(port));
      int socket = -1;
      for (int tries = 0; tries < 500; ++tries) {
        socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) break;
        ::close(socket);
        socket = -1;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
      BOOST_REQUIRE(socket >= 0);
      tls_session session(client_side, "localhost");
      socket_end end(socket);
      session.start(end.out);
      end.run(session, [&] { return session.state() != tls_state::handshaking; });
      BOOST_REQUIRE_MESSAGE(session.state() == tls_state::open, session.reason());
      BOOST_TEST(session.agreement().alpn == "http/1.1");
      session.write(bytes_of("desserts\n"), end.scratch(), end.out);
      end.run(session, [&] { return end.heard.ends_with('\n'); });
      BOOST_TEST(end.heard == "stressed\n");
      session.close_notify(end.out);
      end.flush();
      end.run(session, [&] { return session.state() != tls_state::open; });
      BOOST_TEST(session.state() == tls_state::peer_closed);
      end.close();
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace ringcast
