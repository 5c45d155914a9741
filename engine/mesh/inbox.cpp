#include "engine/mesh/inbox.hpp"

#include <cstring>

namespace ringcast::engine {

inbox_result inbox::push(std::uint32_t kind, std::span<const std::byte> a, std::span<const std::byte> b) {
  const std::size_t bytes = a.size() + b.size();
  if (bytes > record_bytes_max()) return inbox_result::too_large;
  {
    const std::lock_guard lock(senders_);
    if (closed_ || (takes_only_one_kind_ && kind != kind_taken_)) return inbox_result::closed;
    std::byte* at = ring_.reserve(kind, static_cast<std::uint32_t>(bytes));
    if (at == nullptr) return inbox_result::full;
    if (!a.empty()) std::memcpy(at, a.data(), a.size());
    if (!b.empty()) std::memcpy(at + a.size(), b.data(), b.size());
    ring_.commit();
    ring_.publish();
  }
  // Outside the lock: the write that may follow is a system call, and nobody else has to wait for it.
  bell_.ring();
  return inbox_result::queued;
}

void inbox::take_only(std::uint32_t kind) {
  const std::lock_guard lock(senders_);
  takes_only_one_kind_ = true;
  kind_taken_ = kind;
}

void inbox::close() {
  const std::lock_guard lock(senders_);
  closed_ = true;
}

} // namespace ringcast::engine
