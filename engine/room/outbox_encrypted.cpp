// The part of the outbox for encrypted connections: all that a connection is sent in one turn shares TLS records, and what is left of a short
// send is ciphertext.
#include "engine/base/limits.hpp"
#include "engine/connection/connection_layers.hpp"
#include "engine/connection/user_events.hpp"
#include "engine/room/outbox.hpp"
#include "engine/room/room_table.hpp"

#include <algorithm>
#include <cstring>

namespace ringcast::engine {

// Ciphertext of the protocol itself. It is sent with the turn's other output, or by the next send of a backlog.
void outbox::append_ciphertext(connection& c, std::span<const std::byte> bytes) {
  c.layers->ciphertext.append(bytes);
  produced_bytes_ += bytes.size();
  c.layers->count_held();
  if (c.behind == nullptr) (void)gathering_of(c);
}

std::uint64_t outbox::ciphertext_bytes(const connection& c) { return c.layers->ciphertext.size(); }

// Encrypts the pieces, which stand in scratch_, into the arena. The gathering's segments are the ciphertext from then on: it is what a short
// send has to go on with. False: the session has failed.
bool outbox::encrypt_gathering(connection& c, std::uint32_t index) {
  connection_layers& layers = *c.layers;
  gathering& gathered = now_->gatherings[index];
  gathered.first_segment = gathered.last_segment = none;
  struct into_gathering {
    outbox& to;
    gathering& gathered;
    void append(std::span<const std::byte> bytes) { std::memcpy(to.extend_gathering(gathered, bytes.size()), bytes.data(), bytes.size()); }
  } target{*this, gathered};
  if (!layers.ciphertext.empty()) {
    target.append(layers.ciphertext.bytes());
    layers.ciphertext.release();
    layers.count_held();
  }
  const bool written = write_scratch(layers, target);
  scratch_.clear();
  for (std::uint32_t i = gathered.first_segment; i != none; i = now_->segments[i].next)
    scratch_.push_back({now_->segments[i].bytes, now_->segments[i].size});
  return written;
}

// A session that has failed encrypts nothing; then only its alert goes out, and the connection ends elsewhere.
bool outbox::write_scratch(connection_layers& layers, byte_sink target) {
  if (scratch_.empty()) return true;
  plaintext_.clear();
  for (const iovec& piece : scratch_) plaintext_.push_back({static_cast<const std::byte*>(piece.iov_base), piece.iov_len});
  return layers.tls->write(plaintext_, host_.tls_memory(), target);
}

void outbox::on_encrypted_send_short(connection& c, const gathering& gathered, std::uint64_t sent) {
  start_backlog(c).flying_plain_bytes = gathered.own_bytes;
  for (std::uint32_t i = gathered.first_segment; i != none; i = before_->segments[i].next) {
    const segment& s = before_->segments[i];
    const std::uint64_t skipped = std::min<std::uint64_t>(sent, s.size);
    sent -= skipped;
    c.layers->ciphertext.append({s.bytes + skipped, s.size - skipped});
  }
  c.layers->count_held();
  pump(c);
}

// What the next send of a backlog carries: finished ciphertext, then own output and the rooms, encrypted together.
void outbox::collect_encrypted(connection& c) {
  backlog& b = *c.behind;
  connection_layers& layers = *c.layers;
  struct into_queue {
    outbox& to;
    byte_queue& queue;
    void append(std::span<const std::byte> bytes) { to.append(queue, bytes); }
  } target{*this, b.flying};
  b.own_flying = static_cast<std::uint32_t>(layers.ciphertext.size()) + b.queued.size;
  target.append(layers.ciphertext.bytes());
  layers.ciphertext.release();
  layers.count_held();
  scratch_.clear();
  std::uint64_t bytes = b.own_flying;
  if (b.queued.size > 0) scratch_.push_back({b.queued.memory.bytes, b.queued.size});
  for (membership* seat = served_seats(c); seat != nullptr; seat = seat->next)
    take_pieces(
        *seat->where, *seat->behind, host_.handle_of(c).value, [&] { return bytes >= backlog_send_bytes_max; },
        [&](const log_piece& piece) {
          scratch_.push_back({piece.bytes(), piece.size()});
          bytes += piece.size();
        });
  if (write_scratch(layers, target)) b.flying_plain_bytes += b.queued.size;
  drop_taken(c);
  b.queued.size = 0;
  b.flying_bytes = b.flying.size;
}

} // namespace ringcast::engine
