#include "tests/tls/certificates.hpp"

#include <cstdlib>
#include <stdexcept>

namespace ringcast::test {
namespace {

constexpr const char* elliptic = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1";

} // namespace

certificates::certificates() {
  std::string pattern = std::filesystem::temp_directory_path() / "ringcast-tls-XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
  folder_ = pattern;
  authority("ca");
  authority("foreign-ca");
  authority("intermediate", "ca");
  certificate("localhost", "/CN=localhost", "DNS:localhost,DNS:*.wild.test,IP:127.0.0.1,IP:::1", "ca");
  certificate("other", "/CN=other.test", "DNS:other.test", "ca");
  certificate("rsa", "/CN=localhost", "DNS:localhost", "ca", "rsa");
  certificate("expired", "/CN=localhost", "DNS:localhost", "ca", "expired");
  certificate("foreign", "/CN=localhost", "DNS:localhost", "foreign-ca");
  certificate("renewed", "/O=Renewed/CN=localhost", "DNS:localhost", "ca");
  certificate("deep", "/CN=localhost", "DNS:localhost", "intermediate");
  run("cat intermediate.pem >> deep.pem");
  certificate("client", "/O=Ringcast/CN=client-7", "DNS:client-7", "ca");
  certificate("intruder", "/CN=client-7", "DNS:client-7", "foreign-ca");
}

certificates::~certificates() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void certificates::run(const std::string& command) const {
  const std::string line = "cd '" + folder_.string() + "' && { " + command + " ; } >log 2>&1";
  if (std::system(line.c_str()) != 0) throw std::runtime_error("failed: " + command);
}

void certificates::authority(const std::string& name, const std::string& issuer) const {
  const std::string ask = std::string("openssl req ") + elliptic + " -nodes -keyout " + name + ".key -subj '/CN=" + name +
                          "' -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign ";
  if (issuer.empty()) {
    run(ask + "-x509 -days 30 -out " + name + ".pem");
  } else {
    run(ask + "-out " + name + ".csr && openssl x509 -req -in " + name + ".csr -CA " + issuer + ".pem -CAkey " + issuer +
        ".key -copy_extensions copyall -days 30 -out " + name + ".pem");
  }
}

void certificates::certificate(const std::string& name, const std::string& subject, const std::string& names, const std::string& issuer,
                               const std::string& extra) const {
  run(std::string("openssl req ") + (extra == "rsa" ? "-newkey rsa:2048" : elliptic) + " -nodes -keyout " + name + ".key -subj '" + subject +
      "' -addext subjectAltName=" + names + " -out " + name + ".csr && openssl x509 -req -in " + name + ".csr -CA " + issuer + ".pem -CAkey " +
      issuer + ".key -copy_extensions copyall -days " + (extra == "expired" ? "-1" : "30") + " -out " + name + ".pem");
}

const certificates& test_certificates() {
  static const certificates made;
  return made;
}

} // namespace ringcast::test
