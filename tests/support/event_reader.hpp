// Reads the body of an event stream as a client would: chunks (RFC 9112 7.1), then events (WHATWG HTML 9.2.6). Written from the standards alone,
// byte by byte: nothing of proto/event_stream is used.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace ringcast {

class event_reader {
 public:
  struct event {
    std::string id; // the last event ID, as it stands behind this event
    std::string name; // "message" unless it has one
    std::string data;
  };
  std::function<void(const event&)> on_event;

  // The bytes behind the head. What the standard does not allow is in complaint() then.
  void feed(std::string_view bytes) {
    for (const char c : bytes) take_chunk_byte(c);
  }
  [[nodiscard]] bool has_ended() const { return state_ == state::ended; }
  [[nodiscard]] const std::string& complaint() const { return complaint_; }
  [[nodiscard]] unsigned comments() const { return comments_; }

 private:
  enum class state { size, data, data_end, trailer, ended };

  void complain(std::string_view what) {
    if (complaint_.empty()) complaint_ = what;
  }

  void take_chunk_byte(char c) {
    switch (state_) {
    case state::data:
      take_text_byte(c);
      if (--left_ == 0) state_ = state::data_end;
      return;
    case state::ended: return complain("bytes behind the last chunk");
    default: break;
    }
    line_ += c;
    if (!line_.ends_with("\r\n")) {
      if (line_.size() > 20) complain("a chunk without a size");
      return;
    }
    const std::string line = line_.substr(0, line_.size() - 2);
    line_.clear();
    if (state_ == state::data_end) {
      if (!line.empty()) complain("a chunk is longer than its size");
      state_ = state::size;
    } else if (state_ == state::trailer) {
      if (!line.empty()) complain("a trailer");
      state_ = state::ended;
    } else {
      left_ = std::stoul(line, nullptr, 16);
      state_ = left_ == 0 ? state::trailer : state::data;
    }
  }

  void take_text_byte(char c) {
    const bool is_second = c == '\n' && before_ == '\r';
    before_ = c;
    if (is_second) return;
    if (c != '\n' && c != '\r') {
      text_ += c;
      return;
    }
    take_line(text_);
    text_.clear();
  }

  void take_line(std::string_view line) {
    if (line.empty()) return dispatch();
    if (line.front() == ':') {
      ++comments_;
      return;
    }
    const std::size_t colon = line.find(':');
    const std::string_view field = line.substr(0, colon);
    std::string_view value = colon == line.npos ? std::string_view{} : line.substr(colon + 1);
    if (value.starts_with(' ')) value.remove_prefix(1);
    if (field == "data") {
      now_.data.append(value) += '\n';
      has_data_ = true;
    } else if (field == "event") {
      now_.name = value;
    } else if (field == "id") {
      last_id_ = value;
    } else {
      complain("a field that is none of ours");
    }
  }

  void dispatch() {
    if (has_data_) {
      now_.data.pop_back();
      if (now_.name.empty()) now_.name = "message";
      now_.id = last_id_;
      if (on_event) on_event(now_);
    }
    now_ = {};
    has_data_ = false;
  }

  state state_ = state::size;
  std::string line_, text_, last_id_, complaint_;
  std::size_t left_ = 0;
  char before_ = 0;
  event now_;
  bool has_data_ = false;
  unsigned comments_ = 0;
};

} // namespace ringcast
