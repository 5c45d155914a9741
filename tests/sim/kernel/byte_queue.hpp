// Bytes in order, in at the end and out at the front.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

namespace ringcast::sim {

class byte_queue {
 public:
  std::size_t size() const { return bytes_.size() - begin_; }
  bool empty() const { return size() == 0; }

  void append(std::span<const std::byte> more) { bytes_.insert(bytes_.end(), more.begin(), more.end()); }

  // Copies out and removes up to `into.size()` bytes.
  std::size_t take(std::span<std::byte> into) {
    const std::size_t count = into.size() < size() ? into.size() : size();
    if (count != 0) std::memcpy(into.data(), bytes_.data() + begin_, count);
    drop(count);
    return count;
  }

  void move_to(byte_queue& other, std::size_t count) {
    other.append({bytes_.data() + begin_, count});
    drop(count);
  }

  void clear() { drop(size()); }

 private:
  void drop(std::size_t count) {
    begin_ += count;
    if (begin_ == bytes_.size()) {
      bytes_.clear();
      begin_ = 0;
    } else if (begin_ > bytes_.size() / 2) {
      bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(begin_));
      begin_ = 0;
    }
  }

  std::vector<std::byte> bytes_;
  std::size_t begin_ = 0;
};

} // namespace ringcast::sim
