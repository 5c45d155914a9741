// The messages that a client's connection was handed, in the order of its output, as long as it is not known that TCP has taken the whole of
// their frames. A place in the output is what outbox::taken_bytes() counts. On the shard's thread; allocates nothing once warm.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ringcast::engine {

class handed_messages {
 public:
  struct rest {
    std::uint64_t messages = 0, payload_bytes = 0;
  };

  // A message whose frame ends at `end` of the output.
  void add(std::uint64_t end, std::uint32_t payload_bytes) { handed_.push_back({end, payload_bytes}); }

  // TCP has taken the output up to here.
  void settle(std::uint64_t taken) {
    while (first_ < handed_.size() && handed_[first_].end <= taken) ++first_;
    if (first_ == handed_.size()) {
      if (handed_.capacity() > places_kept) handed_ = {};
      handed_.clear();
      first_ = 0;
    } else if (first_ > handed_.size() / 2) {
      handed_.erase(handed_.begin(), handed_.begin() + static_cast<std::ptrdiff_t>(first_));
      first_ = 0;
    }
  }

  [[nodiscard]] std::uint64_t untaken() const { return handed_.size() - first_; }

  // The connection is over: what is left of them is lost.
  [[nodiscard]] rest give_up() {
    rest lost{.messages = untaken()};
    for (; first_ < handed_.size(); ++first_) lost.payload_bytes += handed_[first_].payload_bytes;
    settle(UINT64_MAX);
    return lost;
  }

 private:
  struct handed {
    std::uint64_t end;
    std::uint32_t payload_bytes;
  };
  // As much memory as the buffers of the queue keep when they have run empty.
  static constexpr std::size_t places_kept = 256 * 1024 / sizeof(handed);

  std::vector<handed> handed_;
  std::size_t first_ = 0; // that is not taken
};

} // namespace ringcast::engine
