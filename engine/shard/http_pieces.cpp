#include "engine/shard/http_side.hpp"

#include "engine/shard/access_book.hpp"
#include "engine/shard/closer.hpp"

#include <fmt/format.h>

namespace ringcast::engine {

bool http_side::begin_pieces(connection& c, http_status status, std::string_view content_type, std::string_view extra_headers, bool chunked) {
  if (c.phase != connection_phase::http || !c.answering) return false;
  count_response(status);
  with_.access.answered(c, static_cast<std::uint16_t>(status)); // when it begins
  if (!chunked) c.keep_alive = false;
  with_.output.append_text(c, fmt::format("HTTP/1.1 {} {}\r\n{}Content-Type: {}\r\n{}Connection: {}\r\n{}\r\n", static_cast<int>(status),
                                          reason_phrase(status), date_line(with_.clock.ms), content_type,
                                          chunked ? "Transfer-Encoding: chunked\r\n" : "", c.keep_alive ? "keep-alive" : "close", extra_headers));
  pieces_.try_emplace(c.slot, chunked);
  return true;
}

// A chunk of no bytes would be the end (RFC 9112 7.1).
void http_side::write_piece(connection& c, std::span<const std::byte> piece) {
  if (piece.empty() || c.head_only) return;
  const bool chunked = pieces_.at(c.slot).chunked;
  if (chunked) with_.output.append_text(c, fmt::format("{:x}\r\n", piece.size()));
  with_.output.append_text(c, {reinterpret_cast<const char*>(piece.data()), piece.size()});
  if (chunked) with_.output.append_text(c, "\r\n");
}

void http_side::finish_pieces(connection& c) {
  if (pieces_.at(c.slot).chunked && !c.head_only) with_.output.append_text(c, "0\r\n\r\n");
  forget(c);
  c.answering = false;
  end_answer(c);
}

void http_side::abandon_pieces(connection& c) {
  forget(c);
  c.keep_alive = false;
  c.answering = false;
  with_.closing.finish(c);
}

void http_side::on_output_progress(connection& c) {
  if (!is_writing_pieces(c)) return;
  waiter_queue& waiting = pieces_.at(c.slot).waiting;
  while (!waiting.empty()) waiting.front().complete(wait_result::done);
}

void http_side::forget(const connection& c) {
  const auto found = pieces_.find(c.slot);
  if (found == pieces_.end()) return;
  while (!found->second.waiting.empty()) found->second.waiting.front().complete(wait_result::done);
  pieces_.erase(found);
}

} // namespace ringcast::engine
