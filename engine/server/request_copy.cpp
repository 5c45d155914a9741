#include "engine/server/request_copy.hpp"

#include <cstring>

namespace ringcast::engine {

request_copy::request_copy(const request_head& head, std::span<const std::byte> body)
    : head_bytes_(head.text.size()), bytes_(std::make_unique_for_overwrite<std::byte[]>(head_bytes_ + body.size())) {
  // Not where the input began: an empty line may have stood in front, and it is no part of the head (RFC 9112 2.2).
  const char* head_begin = head.text.data();
  std::memcpy(bytes_.get(), head_begin, head_bytes_);
  if (!body.empty()) std::memcpy(bytes_.get() + head_bytes_, body.data(), body.size());
  const auto here = [&](std::string_view view) {
    return view.empty() ? view : std::string_view{reinterpret_cast<const char*>(bytes_.get()) + (view.data() - head_begin), view.size()};
  };
  method_ = here(head.method);
  target_ = here(head.target);
  query_ = here(head.query);
  body_ = {bytes_.get() + head_bytes_, body.size()};
  headers_.reserve(head.header_count);
  for (std::size_t i = 0; i < head.header_count; ++i) headers_.push_back({here(head.headers[i].name), here(head.headers[i].value)});
}

std::string_view request_copy::header(std::string_view name) const noexcept {
  for (const http_header& h : headers_)
    if (h.name.size() == name.size() && equal_ignoring_case(h.name, name)) return h.value;
  return {};
}

} // namespace ringcast::engine
