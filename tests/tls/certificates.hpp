// Certificates for the tests, made by the openssl program when they are first asked for, in a folder that goes away
// with the process.
#pragma once

#include <filesystem>
#include <string>

namespace ringcast::test {

/// In the folder, each as NAME.pem (with its chain) and NAME.key:
///   ca            an authority                       foreign-ca  another one
///   localhost     DNS:localhost, DNS:*.wild.test, IP:127.0.0.1, IP:::1
///   other         DNS:other.test                     rsa         DNS:localhost, an RSA key
///   deep          DNS:localhost, by an intermediate  expired     DNS:localhost, over since yesterday
///   foreign       DNS:localhost, by foreign-ca       renewed     DNS:localhost, a second one
///   client        CN=client-7                        intruder    CN=client-7, by foreign-ca
class certificates {
 public:
  certificates();
  ~certificates();
  certificates(const certificates&) = delete;
  certificates& operator=(const certificates&) = delete;

  [[nodiscard]] std::string pem(const std::string& name) const { return folder_ / (name + ".pem"); }
  [[nodiscard]] std::string key(const std::string& name) const { return folder_ / (name + ".key"); }
  [[nodiscard]] std::string path(const std::string& file) const { return folder_ / file; }

 private:
  void run(const std::string& command) const;
  void authority(const std::string& name, const std::string& issuer = {}) const;
  void certificate(const std::string& name, const std::string& subject, const std::string& names, const std::string& issuer,
                   const std::string& extra = {}) const;

  std::filesystem::path folder_;
};

const certificates& test_certificates();

} // namespace ringcast::test
