#include "tests/sim/rigs/secure.hpp"

#include "tests/tls/certificates.hpp"

#include <stdexcept>

namespace ringcast::sim {

using namespace engine;

std::shared_ptr<tls_identity> secure_identity() {
  static const std::shared_ptr<tls_identity> identity = [] {
    const test::certificates& made = test::test_certificates();
    auto context =
        tls_context::load_server({.certificates = {{.chain_file = made.pem("localhost"), .key_file = made.key("localhost"), .host_names = {}}}});
    if (!context) throw std::runtime_error(context.error());
    return std::make_shared<tls_identity>(std::move(*context));
  }();
  return identity;
}

} // namespace ringcast::sim
