// What a request keeps of the bytes in which it came: its head and its body, in one block, and the views into them. The bytes themselves are
// the connection's and go with their turn, while a coroutine that handles the request may run on.
//
// Owned by its request, on the shard's thread. Nothing but protocol, so that a fuzz target can drive it.
#pragma once

#include "proto/http_head.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace ringcast::engine {

class request_copy {
 public:
  request_copy(const request_head& head, std::span<const std::byte> body);
  request_copy(const request_copy&) = delete;
  request_copy& operator=(const request_copy&) = delete;

  // As received, to be parsed again. It was fine the first time.
  [[nodiscard]] std::span<const std::byte> head() const noexcept { return {bytes_.get(), head_bytes_}; }
  [[nodiscard]] std::span<const std::byte> body() const noexcept { return body_; }
  [[nodiscard]] std::string_view method() const noexcept { return method_; }
  [[nodiscard]] std::string_view target() const noexcept { return target_; }
  [[nodiscard]] std::string_view query() const noexcept { return query_; }
  // The first header of that name, without regard to case; empty if there is none.
  [[nodiscard]] std::string_view header(std::string_view name) const noexcept;

 private:
  std::size_t head_bytes_;
  std::unique_ptr<std::byte[]> bytes_;
  std::string_view method_, target_, query_;
  std::span<const std::byte> body_;
  std::vector<http_header> headers_;
};

} // namespace ringcast::engine
