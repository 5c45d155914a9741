// RFC 6455 5.3: each kernel and the public function against one byte loop.
#include "proto/mask.hpp"
#include "proto/mask_kernels.hpp"
#include "tests/proto/guard_page.hpp"
#include "tests/proto/wire.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>

using namespace ringcast;
using namespace ringcast::test;

BOOST_AUTO_TEST_SUITE(masking)

namespace {

constexpr std::uint32_t key_of_four_different_octets = 0x3D21'FA37;

/// "Octet i of the transformed data is the XOR of octet i of the original data with octet i modulo 4 of the key."
void mask_as_the_rfc_says(std::span<std::byte> data, std::uint32_t masking_key, std::size_t phase) {
  std::byte key[4];
  std::memcpy(key, &masking_key, 4);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] ^= key[(i + phase) % 4];
}

/// Runs `mask` on `length` bytes that begin `offset` bytes into a region, and looks at the whole region.
template <typename Mask>
void compare(std::span<std::byte> region, std::size_t offset, std::size_t length, std::size_t phase, Mask mask, std::string_view name) {
  bytes expected = noise(region.size(), static_cast<std::uint32_t>(length * 64 + offset));
  std::ranges::copy(expected, region.begin());
  mask_as_the_rfc_says(std::span(expected).subspan(offset, length), key_of_four_different_octets, phase);
  mask(region.data() + offset, length);
  if (!std::ranges::equal(region, expected)) {
    BOOST_ERROR(name << " differs at length " << length << ", offset " << offset << ", phase " << phase);
  }
}

} // namespace

BOOST_AUTO_TEST_CASE(every_kernel_masks_every_length_at_every_alignment_and_nothing_around_it) {
  guarded_memory memory(4096);
  for (const mask_kernel& kernel : mask_kernels()) {
    if (!kernel.supported) continue;
    BOOST_TEST_MESSAGE("kernel " << kernel.name);
    const auto run = [&](std::byte* data, std::size_t length) { kernel.run(data, length, key_of_four_different_octets); };
    for (std::size_t length = 0; length <= 256; ++length) {
      for (std::size_t alignment = 0; alignment < 64; ++alignment) {
        compare(memory.first(alignment + length + 8), alignment, length, 0, run, kernel.name);
      }
      compare(memory.first(length), 0, length, 0, run, kernel.name);
      compare(memory.last(length), 0, length, 0, run, kernel.name);
    }
  }
}

BOOST_AUTO_TEST_CASE(every_kernel_masks_long_payloads) {
  guarded_memory memory(70'000);
  for (const mask_kernel& kernel : mask_kernels()) {
    if (!kernel.supported) continue;
    const auto run = [&](std::byte* data, std::size_t length) { kernel.run(data, length, key_of_four_different_octets); };
    for (const std::size_t length : {257, 383, 511, 512, 513, 1023, 1024, 4095, 4097, 16'384, 65'535, 65'537}) {
      for (const std::size_t alignment : {0, 1, 6, 8, 14, 31, 63}) {
        compare(memory.first(alignment + length + 8), alignment, length, 0, run, kernel.name);
      }
      compare(memory.last(length), 0, length, 0, run, kernel.name);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_payload_in_pieces_is_masked_by_phase) {
  guarded_memory memory(4096);
  for (std::size_t phase = 0; phase < 9; ++phase) {
    const auto run = [&](std::byte* data, std::size_t length) { mask_in_place(data, length, key_of_four_different_octets, phase); };
    for (std::size_t length = 0; length <= 256; ++length) {
      for (std::size_t alignment = 0; alignment < 64; ++alignment) {
        compare(memory.first(alignment + length + 8), alignment, length, phase, run, "mask_in_place");
      }
      compare(memory.first(length), 0, length, phase, run, "mask_in_place");
      compare(memory.last(length), 0, length, phase, run, "mask_in_place");
    }
  }
}

BOOST_AUTO_TEST_CASE(masking_twice_gives_the_original) {
  const bytes original = noise(1000, 7);
  bytes payload = original;
  mask_in_place(payload.data(), payload.size(), key_of_four_different_octets);
  BOOST_TEST((payload != original));
  mask_in_place(payload.data(), payload.size(), key_of_four_different_octets);
  BOOST_TEST((payload == original));
}

BOOST_AUTO_TEST_CASE(the_best_kernel_comes_first_and_the_last_runs_everywhere) {
  BOOST_TEST(mask_kernels().back().supported);
  BOOST_TEST(mask_kernels().back().name == "scalar");
}

BOOST_AUTO_TEST_SUITE_END()
