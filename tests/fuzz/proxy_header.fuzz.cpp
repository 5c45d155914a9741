// The fuzz target of PROXY headers. How it works:
// 1. The input is parsed as it grows byte by byte, each time from memory that is exactly as long as what has arrived, so that the address sanitizer
//    sees an access of one byte too many.
// 2. A verdict stands: what is bad, or done, is the same with every byte more.
// 3. Nobody waits beyond the bounds, and whoever is named is named within them.
#include "proto/proxy_header.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

using namespace ringcast;

namespace {

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

struct parsed {
  proxy_header_result result;
  proxy_header header;
  std::size_t path_bytes = 0;
};

parsed parse(std::span<const std::byte> input) {
  const auto exact = std::make_unique<std::byte[]>(input.size());
  std::ranges::copy(input, exact.get());
  parsed p;
  p.result = parse_proxy_header({exact.get(), input.size()}, p.header);
  p.path_bytes = p.header.path.size();
  require(p.header.path.empty() || (p.header.path.data() >= reinterpret_cast<const char*>(exact.get()) &&
                                    p.header.path.data() + p.path_bytes <= reinterpret_cast<const char*>(exact.get()) + input.size()),
          "a path stands in what was parsed");
  return p;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::byte> input{reinterpret_cast<const std::byte*>(data), size};
  const parsed whole = parse(input);
  require(whole.result.bytes <= size && whole.path_bytes <= 108, "nothing is longer than what there is");
  require((whole.result.status == proxy_header_status::bad) == !whole.result.why.empty(), "what is bad says why");
  if (whole.result.status == proxy_header_status::need_more) require(size < proxy_header_bytes_max, "nobody waits beyond the bound");
  if (whole.result.status != proxy_header_status::done)
    require(whole.header.source == proxy_header::family::none && whole.header.port == 0, "without a verdict nobody is named");
  bool is_settled = false;
  for (std::size_t bytes = 0; bytes <= size; ++bytes) {
    const parsed cut = parse(input.first(bytes));
    const bool has_verdict = cut.result.status != proxy_header_status::need_more;
    require(has_verdict || !is_settled, "a verdict is not taken back");
    is_settled = has_verdict;
    if (has_verdict)
      require(cut.result.status == whole.result.status && cut.result.bytes == whole.result.bytes && cut.result.why == whole.result.why &&
                  cut.header.source == whole.header.source && cut.header.address == whole.header.address && cut.header.port == whole.header.port,
              "the same verdict with every byte more");
  }
  return 0;
}
