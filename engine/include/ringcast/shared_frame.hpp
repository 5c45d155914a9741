// A message that is framed once and sent to many connections (RFC 6455 5.2): immutable, counted, for any thread. Copying it copies a
// pointer. For a whole room there is broadcast(), which does this by itself.
#pragma once

#include <ringcast/opcode.hpp>

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

namespace ringcast {

class shared_frame {
 public:
  // One allocation; throws std::bad_alloc. Text must be valid UTF-8.
  shared_frame(opcode op, std::span<const std::byte> payload);
  [[nodiscard]] static shared_frame text(std::string_view text) { return {opcode::text, std::as_bytes(std::span{text})}; }
  [[nodiscard]] static shared_frame binary(std::span<const std::byte> bytes) { return {opcode::binary, bytes}; }

  // As it goes to a client: header and payload.
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {bytes_.get(), size_}; }

 private:
  std::shared_ptr<const std::byte[]> bytes_;
  std::size_t size_;
};

} // namespace ringcast
