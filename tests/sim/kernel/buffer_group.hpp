// A ring of provided buffers (IORING_REGISTER_PBUF_RING, kernel 5.19), also with incremental consumption
// (IOU_PBUF_RING_INC, 6.12), as the kernel sees it; and the check that a buffer has one owner at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <liburing.h>
#include <map>
#include <optional>
#include <span>

namespace ringcast::sim {

class kernel;

class buffer_group {
 public:
  buffer_group(kernel& world, const io_uring_buf_reg& registration, bool incremental);
  ~buffer_group();
  buffer_group(const buffer_group&) = delete;
  buffer_group& operator=(const buffer_group&) = delete;

  // The memory that the next receive writes to, empty if none is provided.
  std::span<std::byte> select();

  struct taken {
    std::uint16_t id;
    bool continues; // IORING_CQE_F_BUF_MORE
  };
  // `bytes` bytes were written to what select() returned. They belong to the engine from now on.
  taken commit(std::size_t bytes);

  // Makes the selected memory writable for the kernel, whatever guards it.
  void before_writing(std::span<std::byte> selected, std::size_t bytes);

  // How many of the buffers that were ever provided are not in the kernel's hands.
  std::size_t away();

 private:
  struct provided {
    std::byte* begin = nullptr;
    std::size_t bytes = 0;
    std::size_t used = 0;
    bool owned_by_kernel = false;
  };
  io_uring_buf& entry(std::uint16_t position) const { return memory_->bufs[position & (entries_ - 1)]; }
  void look_for_new();
  void check_entry(std::uint16_t position);

  kernel& world_;
  io_uring_buf_ring* memory_;
  std::uint32_t entries_;
  bool incremental_;
  std::uint16_t head_ = 0;
  std::uint16_t tail_seen_ = 0;
  std::map<std::uint16_t, provided> buffers_;
};

} // namespace ringcast::sim
