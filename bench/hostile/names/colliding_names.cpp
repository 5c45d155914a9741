// bench-colliding-names COUNT BUCKETS: names of rooms with one home of two shards and one bucket of a table with so many, if the table's hash has
// no key: the home by FNV-1a, the table by this library's hash of strings.
#include <cstdint>
#include <cstdlib>
#include <fmt/format.h>
#include <functional>
#include <string_view>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const std::uint64_t count = std::strtoull(argv[1], nullptr, 10);
  const std::uint64_t buckets = std::strtoull(argv[2], nullptr, 10);
  if (buckets == 0) return 2;
  std::uint64_t found = 0;
  for (std::uint64_t i = 0; found < count; ++i) {
    const fmt::format_int name{i};
    const std::string_view text{name.data(), name.size()};
    if (std::hash<std::string_view>{}(text) % buckets != 0) continue;
    std::uint64_t home = 14695981039346656037ull;
    for (const char c : text) home = (home ^ static_cast<unsigned char>(c)) * 1099511628211ull;
    if ((home ^ home >> 32) % 2 != 0) continue;
    fmt::print("{}\n", text);
    ++found;
  }
}
