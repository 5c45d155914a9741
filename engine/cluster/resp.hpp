// The words of Redis and Valkey: RESP2, read by hiredis, which has no socket here and no thread. This pair of files is the only one that includes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <hiredis/hiredis.h>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ringcast::engine {

// Appends a command and its arguments, any bytes.
void append_command(std::string& out, std::initializer_list<std::string_view> words);

// An answer, or what is pushed. Nothing in it is believed: what is not there reads as empty.
class resp_value {
 public:
  explicit resp_value(const redisReply* reply) : reply_(reply) {}
  [[nodiscard]] bool is_error() const { return reply_ != nullptr && reply_->type == REDIS_REPLY_ERROR; }
  [[nodiscard]] bool is_array() const { return reply_ != nullptr && reply_->type == REDIS_REPLY_ARRAY; }
  [[nodiscard]] std::size_t size() const { return is_array() ? reply_->elements : 0; }
  [[nodiscard]] resp_value operator[](std::size_t i) const { return resp_value{i < size() ? reply_->element[i] : nullptr}; }
  [[nodiscard]] std::string_view text() const;
  // Also of a text that is one; nothing if it is none.
  [[nodiscard]] std::optional<std::uint64_t> number(int base = 10) const;

 private:
  const redisReply* reply_;
};

class resp_reply {
 public:
  explicit resp_reply(void* reply) : reply_(static_cast<redisReply*>(reply)) {}
  [[nodiscard]] resp_value value() const { return resp_value{reply_.get()}; }

 private:
  struct freed {
    void operator()(redisReply* reply) const { freeReplyObject(reply); }
  };
  std::unique_ptr<redisReply, freed> reply_;
};

class resp_reader {
 public:
  resp_reader();
  void feed(std::span<const char> bytes);
  // The next one that is whole. Nothing: more is needed, or is_broken().
  [[nodiscard]] std::optional<resp_reply> next();
  [[nodiscard]] bool is_broken() const { return broken_; }

 private:
  struct freed {
    void operator()(redisReader* reader) const { redisReaderFree(reader); }
  };
  std::unique_ptr<redisReader, freed> reader_;
  bool broken_ = false;
};

} // namespace ringcast::engine
