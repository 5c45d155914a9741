// The fuzz target of what a coroutine's request keeps of its bytes. How it works:
// 1. The first byte of the input says how many bytes of what follows the head are its body.
// 2. The rest is parsed from memory that ends where the request ends, so that the address sanitizer sees a copy of one
//    byte too many.
// 3. That memory is given back before anything is asked of the copy: each view must say what the head said, from memory
//    of the copy's own.
// 4. The copied head, parsed again as the upgrade does, must be the same head.
#include "engine/server/request_copy.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

using namespace ringcast;
using namespace ringcast::engine;

namespace {

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

std::string text_of(std::span<const std::byte> bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::span<const std::byte> input{reinterpret_cast<const std::byte*>(data + 1), size - 1};
  request_head head;
  if (parse_request_head(input, {}, head).status != head_status::done) return 0;
  const std::size_t body_bytes = std::min<std::size_t>(data[0], input.size() - head.head_bytes);
  const std::size_t request_bytes = head.head_bytes + body_bytes;

  auto received = std::make_unique<std::byte[]>(request_bytes);
  std::ranges::copy(input.first(request_bytes), received.get());
  const std::span<std::byte> whole{received.get(), request_bytes};
  require(parse_request_head(whole, {}, head).status == head_status::done, "it is a head again");
  const request_copy copy{head, whole.subspan(head.head_bytes)};
  const std::string method{head.method}, target{head.target}, query{head.query}, text{head.text};
  std::string names, values;
  for (std::size_t i = 0; i < head.header_count; ++i) {
    names += head.headers[i].name;
    values += head.headers[i].value;
  }
  received.reset();

  require(copy.method() == method && copy.target() == target && copy.query() == query, "the request line is the same");
  require(text_of(copy.body()) == text_of(input.subspan(request_bytes - body_bytes, body_bytes)), "the body is the same");
  require(text_of(copy.head()) == text, "the head is its own bytes");

  request_head again;
  require(parse_request_head(copy.head(), {}, again).status == head_status::done, "the copy is a head");
  require(again.head_bytes == copy.head().size() && again.header_count == head.header_count, "it is all of one");
  std::string names_again, values_again;
  for (std::size_t i = 0; i < again.header_count; ++i) {
    names_again += again.headers[i].name;
    values_again += again.headers[i].value;
    require(copy.header(again.headers[i].name) == again.header(again.headers[i].name), "a header is found");
  }
  require(names_again == names && values_again == values, "the headers are the same");
  require(copy.header("No-Such-Header").empty() || names.contains("No-Such-Header"), "what is not there is empty");
  return 0;
}
