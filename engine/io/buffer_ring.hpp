// The provided receive buffers of a shard: a few blocks that the kernel fills when data arrives, so that idle connections hold none.
// With incremental consumption (kernel 6.12) one block takes the bytes of many receives; on older kernels each receive takes a block.
//
// Life of a block: given to the kernel -> filled, its bytes handled within the loop turn -> given to the kernel again at the end of the
// turn. A handler that keeps a view over the end of its turn holds a lease; the block is then replaced by another and comes home later.
#pragma once

#include "engine/base/block_pool.hpp"
#include "engine/io/ring.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ringcast::engine {

class buffer_ring {
 public:
  static constexpr std::uint16_t group = 1;

  buffer_ring(ring& r, block_pool& blocks, std::uint32_t buffers, std::uint32_t buffer_bytes);
  ~buffer_ring();
  buffer_ring(const buffer_ring&) = delete;
  buffer_ring& operator=(const buffer_ring&) = delete;

  // The bytes that a receive has written. They may be changed in place; nothing behind them may be touched.
  [[nodiscard]] std::span<std::byte> received(const completion& done);

  // The turn is over, and with it the use of every block that the kernel has finished with: gives them back.
  void recycle();

  [[nodiscard]] std::size_t size() const { return buffers_.size(); }
  [[nodiscard]] std::uint32_t free_buffers() const { return with_kernel_; }
  // Whether the kernel has buffers left: a receive armed without any would end at once, again and again.
  [[nodiscard]] bool has_buffers() const { return with_kernel_ > 0; }

  // Whether the bytes are in a provided buffer that is in use now, so that lease() has something to keep.
  [[nodiscard]] bool contains(const std::byte* bytes) const {
    for (const buffer& b : buffers_)
      if (bytes >= b.memory.bytes && bytes < b.memory.bytes + b.memory.capacity) return true;
    return false;
  }
  // Keeps the block that holds these bytes past the end of the turn; null if they are not in a provided buffer. Each lease that is not
  // null is ended once.
  [[nodiscard]] std::byte* lease(const std::byte* bytes);
  void end_lease(std::byte* lease);
  // Blocks that are held past the end of their turn: 0 at rest.
  [[nodiscard]] std::size_t leased_blocks() const { return kept_.size(); }

 private:
  struct buffer {
    block memory;
    std::uint32_t consumed = 0; // bytes the kernel has filled, incremental
    std::uint32_t leases = 0;
    bool with_kernel = false;
  };
  void provide(std::uint16_t id);

  block_pool& blocks_;
  io_uring_buf_ring* kernel_ring_;
  std::uint32_t mask_;
  std::uint32_t buffer_bytes_;
  bool incremental_;
  std::uint32_t with_kernel_ = 0;
  std::vector<buffer> buffers_;           // by buffer id
  std::vector<std::uint16_t> finished_;   // ids the kernel is done with in this turn
  struct kept {
    block memory;
    std::uint32_t leases = 0;
  };
  std::vector<kept> kept_;                // blocks that outlived their turn
};

} // namespace ringcast::engine
