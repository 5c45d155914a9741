// Asks a server for what it tells of itself: one plain HTTP/1.0 request a connection, with a deadline, and an answer of a bounded size. It blocks.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace ringcast::top {

// Of a URL like http://127.0.0.1:8080, http://[::1]:9000 or http://localhost/base-path; the error is one sentence.
struct admin_address {
  std::string host;
  std::string port;
  std::string base{}; // in front of every path: empty, or like /chat-server
  std::string token{}; // sent with each request (RFC 6750), for what stands in front of the server and asks for one; empty: none

  [[nodiscard]] static std::expected<admin_address, std::string> of(std::string_view url);
  [[nodiscard]] std::string authority() const; // HOST:PORT
  [[nodiscard]] std::string text() const;      // HOST:PORT and the base path, as in the URL
  // The token of a file, a line end behind it is none of it; the error is one sentence.
  [[nodiscard]] static std::expected<std::string, std::string> read_token(const std::string& path);
};

// The body of an answer 200. Everything else is an error in one sentence.
[[nodiscard]] std::expected<std::string, std::string> get(const admin_address& from, std::string_view target);

} // namespace ringcast::top
