// The fuzz target of tokens. How it works:
// 1. The first byte of the input chooses: what follows is a token as it came, or a header and claims with a zero byte between, which are signed
//    with the server's secret, so that the search gets behind the signature; or a JWK set.
// 2. A token is checked from memory that ends where it ends. What is accepted was signed: the same token with a bit of its signed text changed is not.
// 3. Whatever decodes as base64url encodes to the same text.
#include "apps/ringcast-server/token.hpp"
#include "apps/ringcast-server/base64url.hpp"
#include "tests/support/signing.hpp"

#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

using namespace ringcast;

namespace {

const std::string secret(32, 's');
constexpr std::int64_t now_s = 1'700'000'000;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

const token_keys& keys() {
  static const token_keys all = [] {
    token_keys made;
    require(made.add_secret(std::as_bytes(std::span{secret})).has_value(), "a secret of 32 bytes is taken");
    return made;
  }();
  return all;
}

void check(std::string_view token) {
  const std::vector<char> exact{token.begin(), token.end()}; // std::string would have a byte more
  const std::string_view text{exact.data(), exact.size()};
  const auto claims = check_token(text, keys(), {}, now_s);
  if (const auto bytes = decode_base64url(text))
    require(to_base64url({reinterpret_cast<const char*>(bytes->data()), bytes->size()}) == text, "base64url has one text for each run of bytes");
  if (!claims) return;
  (void)claims->may_join("lobby");
  std::string changed{text};
  changed.back() = changed.back() == 'A' ? 'E' : 'A';
  if (changed != text) require(!check_token(changed, keys(), {}, now_s).has_value(), "another signature is refused");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view input{reinterpret_cast<const char*>(data + 1), size - 1};
  if (data[0] % 3 == 0) {
    check(input);
  } else if (data[0] % 3 == 1) {
    const std::size_t zero = input.find('\0');
    check(zero == std::string_view::npos ? sign_token(secret, R"({"alg":"HS256"})", input)
                                         : sign_token(secret, input.substr(0, zero), input.substr(zero + 1)));
  } else {
    token_keys set;
    if (set.add_set(input)) require(set.size() > 0, "a set that is taken has a key");
  }
  return 0;
}
