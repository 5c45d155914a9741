#include "apps/load/event_reader.hpp"

#include <algorithm>
#include <utility>

namespace ringcast::load {

namespace {

// The largest message of a run, in base64, with room for its other lines.
constexpr std::size_t event_bytes_max = std::size_t{96} << 20;
constexpr unsigned size_digits_max = 12;
constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

} // namespace

// ---- the body
// ---------------------------------------------------------------------------------------------------------

std::string_view event_reader::take_body(std::string_view& input) {
  if (at_ == part::over) at_ = part::broken; // Nothing may follow an answer that nobody asked for.
  if (at_ != part::data && at_ != part::rest) {
    take_framing(input.front());
    input.remove_prefix(1);
    return {};
  }
  const std::size_t bytes = at_ == part::rest ? input.size() : static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size()));
  const std::string_view body = input.substr(0, bytes);
  input.remove_prefix(bytes);
  if (at_ == part::data && (left_ -= bytes) == 0) at_ = part::data_end;
  return body;
}

// chunk = chunk-size [ chunk-ext ] CRLF chunk-data CRLF; the last one has the size 0, and trailer lines up to an empty one.
void event_reader::take_framing(char c) {
  const auto expect = [&](char wanted, part next) { at_ = c == wanted ? next : part::broken; };
  switch (at_) {
  case part::size:
    if (const int digit = hex_value(c); digit >= 0 && digits_ < size_digits_max) {
      left_ = left_ * 16 + static_cast<unsigned>(digit);
      ++digits_;
    } else if (digits_ > 0 && (c == ';' || c == ' ' || c == '\t')) {
      at_ = part::extension;
    } else {
      at_ = digits_ > 0 && c == '\r' ? part::size_end : part::broken;
    }
    return;
  case part::extension:
    if (c == '\r') at_ = part::size_end;
    return;
  case part::size_end:
    digits_ = 0;
    trailer_is_empty_ = true;
    return expect('\n', left_ > 0 ? part::data : part::trailer);
  case part::data_end: return expect('\r', part::data_end_2);
  case part::data_end_2: return expect('\n', part::size);
  case part::trailer:
    if (c == '\r')
      at_ = part::trailer_end;
    else
      trailer_is_empty_ = false;
    return;
  case part::trailer_end: {
    const bool was_last = trailer_is_empty_;
    trailer_is_empty_ = true;
    return expect('\n', was_last ? part::over : part::trailer);
  }
  default: return;
  }
}

// ---- the events
// -------------------------------------------------------------------------------------------------------

// A line ends with CR LF, LF or CR.
bool event_reader::take_line(std::string_view& body) {
  if (cr_was_last_ && body.front() == '\n') {
    cr_was_last_ = false;
    body.remove_prefix(1);
    return false;
  }
  const std::size_t end = body.find_first_of("\r\n");
  line_.append(body.substr(0, end));
  if (line_.size() + data_.size() > event_bytes_max) {
    at_ = part::broken;
    body = {};
    return false;
  }
  cr_was_last_ = end != std::string_view::npos && body[end] == '\r';
  if (end == std::string_view::npos) {
    body = {};
    return false;
  }
  body.remove_prefix(end + 1);
  const bool complete = end_line();
  line_.clear();
  return complete;
}

bool event_reader::end_line() {
  std::string_view line = line_;
  if (std::exchange(first_line_, false) && line.starts_with(byte_order_mark)) line.remove_prefix(byte_order_mark.size());
  if (!line.empty()) {
    const std::size_t colon = line.find(':');
    if (colon == 0) return false; // A comment.
    std::string_view value = colon == std::string_view::npos ? std::string_view{} : line.substr(colon + 1);
    if (value.starts_with(' ')) value.remove_prefix(1);
    take_field(line.substr(0, colon), value);
    return false;
  }
  event_.last_id = id_;
  if (data_.empty()) {
    name_.clear();
    return false;
  }
  data_.pop_back(); // The LF behind its last line.
  event_.name = name_.empty() ? "message" : name_;
  event_.data.swap(data_);
  name_.clear();
  data_.clear();
  return true;
}

void event_reader::take_field(std::string_view name, std::string_view value) {
  if (name == "data") {
    data_.append(value) += '\n';
  } else if (name == "event") {
    name_ = value;
  } else if (name == "id" && value.find('\0') == std::string_view::npos) {
    id_ = value;
  }
}

} // namespace ringcast::load
