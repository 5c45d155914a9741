#include "apps/ringcast-server/admin_guard.hpp"

#include "apps/ringcast-server/token_gate.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
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

// RFC 9110 7.2, without the port.
std::string_view name_in(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.rfind(':'));
}

bool is_ip_address(std::string_view name) {
  in6_addr v6{};
  in_addr v4{};
  if (name.starts_with('[') && name.ends_with(']')) return ::inet_pton(AF_INET6, std::string{name.substr(1, name.size() - 2)}.c_str(), &v6) == 1;
  return ::inet_pton(AF_INET, std::string{name}.c_str(), &v4) == 1;
}

bool is_same_name(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
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

admin_guard::admin_guard(std::vector<std::string> names) : names_(std::move(names)), token_(random_word()) {}

bool admin_guard::is_own_name(std::string_view host) const {
  const std::string_view name = name_in(host);
  return is_ip_address(name) || is_same_name(name, "localhost") ||
         std::ranges::any_of(names_, [&](const std::string& own) { return is_same_name(name, own); });
}

bool admin_guard::is_of_a_stranger(const http_request& request) const {
  const std::string_view site = request.header("Sec-Fetch-Site");
  if (!site.empty() && site != "same-origin" && site != "none") return true;
  return is_of_another_site(request) || (!request.header("Origin").empty() && !is_own_name(request.header("Host")));
}

std::optional<std::string_view> admin_guard::why_not_read(const http_request& request) const {
  if (is_of_a_stranger(request)) return "pages of another site may not do this";
  // A page's own GET has no Origin.
  if (!is_own_name(request.header("Host"))) return "this server is not known by that name: see --admin-name";
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
