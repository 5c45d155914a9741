// Messages of the kinds that travel: noise, prose, JSON, what is compressed already, and runs.
#pragma once

#include "tests/deflate/zlib_peer.hpp"

#include <array>
#include <cstddef>
#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace ringcast::test {

inline bytes to_bytes(std::string_view text) {
  const auto raw = std::as_bytes(std::span(text));
  return {raw.begin(), raw.end()};
}

inline bytes noise(std::size_t size, unsigned seed = 1) {
  std::mt19937 random(seed);
  bytes out(size);
  for (std::byte& octet : out) octet = static_cast<std::byte>(random());
  return out;
}

inline bytes prose(std::size_t size, unsigned seed = 1) {
  static constexpr std::array<std::string_view, 24> words{"the",    "ring", "takes", "what", "is",    "ready",  "and",  "each",
                                                          "member", "of",   "a",     "room", "reads", "from",   "log",  "until",
                                                          "its",    "end",  "then",  "one",  "send",  "serves", "them", "all"};
  std::mt19937 random(seed);
  std::string text;
  while (text.size() < size) {
    text += words[random() % words.size()];
    text += random() % 9 == 0 ? ". " : " ";
  }
  text.resize(size);
  return to_bytes(text);
}

inline bytes json(std::size_t size, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::string text = "[";
  while (text.size() < size) {
    text += R"({"type":"message","room":"lobby","from":"member-)" + std::to_string(random() % 50) + R"(","id":)" +
            std::to_string(random() % 100'000'000) + R"(,"sent_ms":17000)" + std::to_string(random() % 100'000'000) + R"(,"text":")" +
            std::string(reinterpret_cast<const char*>(prose(20 + random() % 60, static_cast<unsigned>(random())).data()), 20) + R"("},)";
  }
  text.resize(size);
  return to_bytes(text);
}

inline bytes already_compressed(std::size_t size, unsigned seed = 1) {
  zlib_deflater deflater;
  bytes out;
  for (unsigned part = 0; out.size() < size; ++part) {
    const bytes more = deflater.message(json(8 * size + 1024, seed + part));
    out.insert(out.end(), more.begin(), more.end());
  }
  out.resize(size);
  return out;
}

inline bytes run_of(std::byte octet, std::size_t size) { return bytes(size, octet); }

struct kind_of_content {
  std::string_view name;
  std::function<bytes(std::size_t)> make;
};

inline const std::vector<kind_of_content>& kinds_of_content() {
  static const std::vector<kind_of_content> kinds{
      {"noise", [](std::size_t n) { return noise(n); }},
      {"prose", [](std::size_t n) { return prose(n); }},
      {"json", [](std::size_t n) { return json(n); }},
      {"already compressed", [](std::size_t n) { return already_compressed(n); }},
      {"zeros", [](std::size_t n) { return run_of(std::byte{0x00}, n); }},
      {"ones", [](std::size_t n) { return run_of(std::byte{0xff}, n); }},
      {"letters", [](std::size_t n) { return run_of(std::byte{'x'}, n); }},
  };
  return kinds;
}

} // namespace ringcast::test
