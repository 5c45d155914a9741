// Messages as a chat server meets them, the same in every run: what is compressed must be as compressible as what
// people send.
#pragma once

#include <array>
#include <cstddef>
#include <random>
#include <string>

namespace ringcast::load {

/// A fixed frame of names, numbers that differ, a sentence of common words, repeated until it has `size` bytes.
inline std::string chat_message(std::size_t size, unsigned seed) {
  static constexpr std::array words{"the",    "build", "is",   "green",  "again", "anyone", "for",  "lunch", "today",  "looks", "good", "please",
                                    "review", "my",    "last", "change", "room",  "seven",  "when", "ready", "deploy", "after", "that", "thanks"};
  static constexpr std::array names{"alice", "bob", "carol", "dave", "erin", "frank"};
  std::mt19937 random(seed);
  const auto entry = [&] {
    std::string text = R"({"type":"message","from":")" + std::string{names[random() % names.size()]} + R"(","id":)" +
                       std::to_string(random() % 100'000'000) + R"(,"ts":17000)" + std::to_string(10'000'000 + random() % 90'000'000) +
                       R"(,"text":")";
    for (std::size_t i = 3 + random() % 9; i > 0; --i) text += std::string{words[random() % words.size()]} + " ";
    return text + "\"}";
  };
  std::string text = entry();
  while (text.size() < size) text += "," + entry();
  text.resize(size);
  return text;
}

} // namespace ringcast::load
