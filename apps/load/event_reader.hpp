// Server-sent events as an EventSource hears them (WHATWG HTML 9.2.5 and 9.2.6), out of the body of an HTTP/1.1 answer, chunked (RFC 9112 7.1) or
// as long as the connection.
//
// The server that is judged has a writer of these in proto/; that one is not used here, on purpose: what checks must not share what it checks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace ringcast::load {

struct heard_event {
  std::string name = "message";
  std::string data;
  std::string last_id; // that of this event, or of the last one before it that had one
};

class event_reader {
 public:
  explicit event_reader(bool chunked) : at_{chunked ? part::size : part::rest} {}

  // Calls on_event(const heard_event&) -> bool for each event that `bytes` complete; false from it ends the reading here.
  template <typename OnEvent> void feed(std::span<const std::byte> bytes, OnEvent&& on_event) {
    std::string_view input{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    while (!input.empty() && !is_broken()) {
      for (std::string_view body = take_body(input); !body.empty();) {
        if (take_line(body) && !on_event(event_)) return;
      }
    }
  }

  // The body has ended: the server says that nothing follows. What is there of an event is dropped, as the standard has it.
  [[nodiscard]] bool is_over() const { return at_ == part::over; }
  // The chunks are no chunks, or an event is longer than any that we have asked for.
  [[nodiscard]] bool is_broken() const { return at_ == part::broken; }

 private:
  enum class part : std::uint8_t { size, extension, size_end, data, data_end, data_end_2, trailer, trailer_end, rest, over, broken };

  // From the front of `input`: the next bytes of the body, none if a chunk's own words are there.
  [[nodiscard]] std::string_view take_body(std::string_view& input);
  void take_framing(char c);
  // From the front of `body`: up to the end of a line. True if an event is complete, in event_.
  [[nodiscard]] bool take_line(std::string_view& body);
  [[nodiscard]] bool end_line();
  void take_field(std::string_view name, std::string_view value);

  part at_;
  std::uint64_t left_ = 0; // of this chunk
  unsigned digits_ = 0;    // of its size
  bool trailer_is_empty_ = true;
  bool cr_was_last_ = false;
  bool first_line_ = true;
  std::string line_;
  std::string name_, data_, id_; // of the event that is being read
  heard_event event_;
};

} // namespace ringcast::load
