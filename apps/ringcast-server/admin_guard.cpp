#include "apps/ringcast-server/admin_guard.hpp"

#include "apps/ringcast-server/token_gate.hpp"

#include <fmt/format.h>
#include <random>

namespace ringcast {

namespace {

// 128 bits.
std::string random_word() {
  std::random_device source;
  std::string word;
  for (int i = 0; i < 4; ++i) word += fmt::format("{:08x}", source());
  return word;
}

// As long for each guess of the same length.
bool is_same_word(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned differs = 0;
  for (std::size_t i = 0; i < a.size(); ++i) differs |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
  return differs == 0;
}

} // namespace

std::string_view name_of(admin_action what) {
  switch (what) {
  case admin_action::close_connection: return "close_connection";
  case admin_action::close_room: return "close_room";
  case admin_action::publish: return "publish";
  case admin_action::refused: return "refused";
  }
  return "";
}

admin_guard::admin_guard() : token_(random_word()) {}

bool admin_guard::is_of_a_stranger(const http_request& request) const {
  const std::string_view site = request.header("Sec-Fetch-Site");
  if (!site.empty() && site != "same-origin" && site != "none") return true;
  return is_of_another_site(request);
}

std::optional<std::string_view> admin_guard::why_not_read(const http_request& request) const {
  if (is_of_a_stranger(request)) return "pages of another site may not do this";
  return std::nullopt;
}

std::optional<std::string_view> admin_guard::why_not_act(const http_request& request) const {
  if (const auto why = why_not_read(request)) return why;
  if (!is_same_word(request.header(token_header), token_)) return "X-Ringcast-Admin has to be what GET /admin/token says";
  return std::nullopt;
}

std::vector<std::pair<std::string_view, std::uint64_t>> admin_guard::counted() const {
  std::vector<std::pair<std::string_view, std::uint64_t>> all;
  for (std::size_t i = 0; i < admin_actions; ++i) all.emplace_back(name_of(static_cast<admin_action>(i)), counts_[i].load(std::memory_order_relaxed));
  return all;
}

} // namespace ringcast
