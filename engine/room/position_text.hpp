// The text of a position (ringcast/position.hpp), without memory: it stands in each message of an event stream.
#pragma once

#include <ringcast/position.hpp>

#include <cstddef>
#include <fmt/format.h>
#include <string_view>

namespace ringcast::engine {

class position_text {
 public:
  explicit position_text(const room_position& position)
      : size_(static_cast<std::size_t>(fmt::format_to(text_, "{:016x}:{}", position.epoch, position.sequence) - text_)) {}
  [[nodiscard]] std::string_view view() const { return {text_, size_}; }

 private:
  char text_[16 + 1 + 20];
  std::size_t size_;
};

} // namespace ringcast::engine
