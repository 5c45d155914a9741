// The hash of every table whose keys come from peers: names of rooms and members, addresses. It is keyed by a secret of the process, so
// nobody outside can choose keys that meet in one bucket, or rooms that have one shard as their home.
//
// SipHash-1-3 (Aumasson and Bernstein, 2012; with one and three rounds as in the tables of Rust and Ruby). It is our own because what we
// link has none: the distribution's wolfSSL is built without it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace ringcast::engine {

struct hash_key {
  std::uint64_t first = 0, second = 0;
};

[[nodiscard]] std::uint64_t siphash_1_3(const hash_key& key, std::span<const std::byte> bytes) noexcept;

// With the key of the process, which the kernel's random numbers have made before main(). The same on every thread.
[[nodiscard]] std::uint64_t keyed_hash(std::span<const std::byte> bytes) noexcept;
[[nodiscard]] inline std::uint64_t keyed_hash(std::string_view text) noexcept { return keyed_hash(std::as_bytes(std::span{text})); }

// For std::unordered_map; with std::equal_to<> a table of strings is searched by views.
struct peer_hash {
  using is_transparent = void;
  [[nodiscard]] std::size_t operator()(std::string_view name) const noexcept { return keyed_hash(name); }
  [[nodiscard]] std::size_t operator()(std::uint64_t number) const noexcept { return keyed_hash(std::as_bytes(std::span{&number, 1})); }
};

} // namespace ringcast::engine
