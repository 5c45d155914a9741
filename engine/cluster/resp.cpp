#include "engine/cluster/resp.hpp"

#include <charconv>
#include <fmt/format.h>
#include <iterator>
#include <new>

namespace ringcast::engine {

void append_command(std::string& out, std::initializer_list<std::string_view> words) {
  fmt::format_to(std::back_inserter(out), "*{}\r\n", words.size());
  for (const std::string_view word : words) {
    fmt::format_to(std::back_inserter(out), "${}\r\n", word.size());
    out.append(word).append("\r\n");
  }
}

std::string_view resp_value::text() const {
  if (reply_ == nullptr || reply_->str == nullptr) return {};
  if (reply_->type != REDIS_REPLY_STRING && reply_->type != REDIS_REPLY_STATUS && reply_->type != REDIS_REPLY_ERROR) return {};
  return {reply_->str, reply_->len};
}

std::optional<std::uint64_t> resp_value::number(int base) const {
  if (reply_ != nullptr && reply_->type == REDIS_REPLY_INTEGER)
    return reply_->integer < 0 ? std::nullopt : std::optional{static_cast<std::uint64_t>(reply_->integer)};
  const std::string_view digits = text();
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number, base);
  if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

resp_reader::resp_reader() : reader_(redisReaderCreate()) {
  if (reader_ == nullptr) throw std::bad_alloc{};
}

void resp_reader::feed(std::span<const char> bytes) {
  if (redisReaderFeed(reader_.get(), bytes.data(), bytes.size()) != REDIS_OK) broken_ = true;
}

std::optional<resp_reply> resp_reader::next() {
  void* reply = nullptr;
  if (broken_) return std::nullopt;
  if (redisReaderGetReply(reader_.get(), &reply) != REDIS_OK) broken_ = true;
  if (reply == nullptr) return std::nullopt;
  return resp_reply{reply};
}

} // namespace ringcast::engine
