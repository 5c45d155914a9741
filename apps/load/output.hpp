// What a connection has to send, by and by.
#pragma once

#include "proto/byte_buffer.hpp"

#include <cstddef>
#include <span>

namespace ringcast::load {

enum class send_status { done, blocked, failed };

class output {
 public:
  // Whoever writes frames appends here; nothing before the end may change.
  [[nodiscard]] byte_buffer& buffer() { return bytes_; }
  void append(std::span<const std::byte> more) { bytes_.append(more); }
  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  // Gives the socket as much as it takes. Blocked: the rest waits for room; failed: errno says why.
  send_status send(int fd);

 private:
  byte_buffer bytes_;
  std::size_t sent_ = 0; // Of bytes_.
};

} // namespace ringcast::load
