// Figures as people read them.
#pragma once

#include <cstdint>
#include <string>

namespace ringcast::load {

// "27.4 us", "1.30 ms", "2.05 s": three digits.
[[nodiscard]] std::string duration_text(std::uint64_t ns);

// "1,234,567".
[[nodiscard]] std::string with_separators(double value);

// "457 B", "12.3 KiB", "1.20 MiB".
[[nodiscard]] std::string bytes_text(double bytes);

} // namespace ringcast::load
