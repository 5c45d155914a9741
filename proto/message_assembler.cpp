#include "proto/message_assembler.hpp"

#include "proto/close_handshake.hpp"
#include "proto/held_bytes.hpp"

#include <algorithm>
#include <vector>

namespace ringcast {

struct message_assembler::fragments {
  opcode op;
  bool compressed;
  bool finished = false; ///< The message was passed out; its bytes stay until the next take() or release().
  utf8_validator text;
  std::vector<std::byte> bytes;
  message_progress progress;
  held_share held{sizeof(fragments)};

  fragments(opcode op_of_message, bool is_compressed) : op(op_of_message), compressed(is_compressed) {}
};

message_assembler::message_assembler() noexcept = default;
message_assembler::~message_assembler() = default;
message_assembler::message_assembler(message_assembler&&) noexcept = default;
message_assembler& message_assembler::operator=(message_assembler&&) noexcept = default;

assembled message_assembler::take_any(frame next, std::uint64_t message_bytes_max) {
  release();
  if (is_control(next.op)) return take_control(next);
  if (next.op == opcode::continuation) {
    if (!fragments_) return fail(violation::unexpected_continuation);
    return append(next, message_bytes_max);
  }
  if (fragments_) return fail(violation::message_inside_fragments);
  const std::uint64_t bytes_max = next.rsv1 ? compressed_bytes_max(message_bytes_max) : message_bytes_max;
  if (next.payload.size() > bytes_max) return fail(violation::message_too_big);
  if (next.fin) return take(next, bytes_max); // Nothing is held any more, so this ends in the inline path.
  fragments_ = std::make_unique<fragments>(next.op, next.rsv1);
  return append(next, message_bytes_max);
}

assembled message_assembler::take(const frame& next, std::uint64_t message_bytes_max, const unfinished_text& seen) {
  if (seen.checked_bytes() == 0) return take(next, message_bytes_max);
  // It is plain text, or its continuation, and fits: only of such a frame anything was checked.
  release();
  if (!fragments_ && next.fin) {
    utf8_validator text = seen.text();
    if (!text.feed(next.payload.subspan(seen.checked_bytes())) || !text.is_complete()) return fail(violation::text_not_utf8);
    return {.what = assembled::kind::message, .op = next.op, .payload = next.payload};
  }
  if (!fragments_) fragments_ = std::make_unique<fragments>(next.op, false);
  fragments_->text = seen.text();
  return append(next, message_bytes_max, seen.checked_bytes());
}

assembled message_assembler::take_control(const frame& next) noexcept {
  if (next.op == opcode::close) {
    if (const auto said = parse_close(next.payload); !said) return fail(said.error());
  }
  return {.what = assembled::kind::control, .op = next.op, .payload = next.payload};
}

assembled message_assembler::append(const frame& next, std::uint64_t message_bytes_max, std::size_t checked_bytes) {
  std::vector<std::byte>& bytes = fragments_->bytes;
  if (fragments_->compressed) message_bytes_max = compressed_bytes_max(message_bytes_max);
  if (bytes.size() + next.payload.size() > message_bytes_max) return fail(violation::message_too_big);

  // Checked piece by piece, so that bad text ends the connection before the rest of it is stored.
  const bool is_plain_text = fragments_->op == opcode::text && !fragments_->compressed;
  if (is_plain_text && !fragments_->text.feed(next.payload.subspan(checked_bytes))) return fail(violation::text_not_utf8);
  if (is_plain_text && next.fin && !fragments_->text.is_complete()) return fail(violation::text_not_utf8);

  const std::size_t wanted = bytes.size() + next.payload.size();
  if (wanted > bytes.capacity()) {
    // Doubling keeps the copies few, and the limit keeps the doubling from holding more than may ever be used.
    bytes.reserve(static_cast<std::size_t>(std::max<std::uint64_t>(wanted, std::min<std::uint64_t>(2 * bytes.capacity(), message_bytes_max))));
    fragments_->held.set(held_bytes());
  }
  bytes.insert(bytes.end(), next.payload.begin(), next.payload.end());
  if (!next.fin) return {};

  fragments_->finished = true;
  return {.what = assembled::kind::message, .op = fragments_->op, .payload = bytes, .compressed = fragments_->compressed};
}

assembled message_assembler::fail(violation broken) noexcept {
  fragments_.reset();
  return {.what = assembled::kind::violation, .broken = broken};
}

void message_assembler::release() noexcept {
  if (fragments_ && fragments_->finished) fragments_.reset();
}

bool message_assembler::is_inside_message() const noexcept { return fragments_ && !fragments_->finished; }

std::uint64_t message_assembler::unfinished_bytes() const noexcept { return is_inside_message() ? fragments_->bytes.size() : 0; }

const utf8_validator* message_assembler::unfinished_plain_text() const noexcept {
  const bool is_plain_text = is_inside_message() && fragments_->op == opcode::text && !fragments_->compressed;
  return is_plain_text ? &fragments_->text : nullptr;
}
std::size_t message_assembler::arrived_bytes() const noexcept { return fragments_ ? fragments_->bytes.size() : 0; }

message_progress* message_assembler::progress() noexcept { return is_inside_message() ? &fragments_->progress : nullptr; }

std::size_t message_assembler::held_bytes() const noexcept { return fragments_ ? sizeof(fragments) + fragments_->bytes.capacity() : 0; }

} // namespace ringcast
