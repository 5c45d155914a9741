// The fuzz target of decompression. How it works:
// 1. The first two bytes of the input choose the limit of the message and how the rest is cut into pieces.
// 2. The rest is inflated as one payload by the shared inflater, and in pieces by a context, each piece in memory of
//    exactly its length, so that the address sanitizer sees a read of one byte too many.
// 3. Both must accept the same and agree in every byte, and never hold more than the limit.
// 4. What inflated is deflated again at every level and inflated once more: it must come back the same.
#include "proto/deflate.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <span>

using namespace ringcast;

namespace {

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

violation in_pieces(inflate_context& context, std::span<const std::byte> payload, std::size_t step, byte_buffer& message, std::size_t limit) {
  while (!payload.empty()) {
    const std::size_t length = std::min(step, payload.size());
    const auto piece = std::make_unique<std::byte[]>(length);
    std::ranges::copy(payload.first(length), piece.get());
    const violation broken = context.feed({piece.get(), length}, message, limit);
    if (broken != violation::none) return broken;
    payload = payload.subspan(length);
  }
  return context.finish(message, limit);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static inflater shared;
  static deflater writer(deflate_level_max);
  if (size < 2) return 0;
  constexpr std::array limits{1UZ, 100UZ, 1000UZ, 4096UZ, 65'536UZ, 1UZ << 20};
  const std::size_t limit = limits[data[0] % limits.size()];
  const std::size_t step = 1 + data[1] % 64;
  const std::span<const std::byte> payload = std::as_bytes(std::span{data, size}).subspan(2);

  const auto copy = std::make_unique<std::byte[]>(payload.size());
  std::ranges::copy(payload, copy.get());
  byte_buffer whole;
  const violation outcome = shared.inflate_message({copy.get(), payload.size()}, whole, limit);
  require(whole.size() <= limit && whole.capacity() <= limit, "the limit is kept");

  inflate_context context;
  byte_buffer joined;
  const violation outcome_in_pieces = in_pieces(context, payload, step, joined, limit);
  require(joined.capacity() <= limit, "the limit is kept in pieces");
  // A payload that is both too big and broken further on may be refused for either.
  require((outcome == violation::none) == (outcome_in_pieces == violation::none), "whole and in pieces end the same");
  if (outcome != violation::none) {
    require(outcome == violation::message_too_big || outcome == violation::compressed_data_invalid, "a known violation");
    return 0;
  }
  require(std::ranges::equal(whole.bytes(), joined.bytes()), "whole and in pieces say the same");

  for (unsigned level = 0; level <= deflate_level_max; ++level) {
    byte_buffer again;
    byte_buffer back;
    const unsigned window_bits = 8 + data[1] % 8U;
    if (!writer.deflate_message(whole.bytes(), again, level, window_bits)) continue;
    require(shared.inflate_message(again.bytes(), back, limit) == violation::none, "our own output inflates");
    require(std::ranges::equal(whole.bytes(), back.bytes()), "our own output comes back");
  }
  return 0;
}
