// permessage-deflate on a shard's connections (RFC 7692): what was negotiated takes effect, messages are inflated where they are received
// and deflated straight into the output. Broadcasts are deflated at the home of their room, once for all members (room_home). One a shard,
// on its thread.
#pragma once

#include "engine/connection/compressor.hpp"
#include "engine/connection/connection.hpp"
#include "engine/room/outbox.hpp"
#include "engine/shard/client_runner.hpp"
#include "engine/shard/connection_rules.hpp"
#include "proto/extension.hpp"
#include "proto/message_assembler.hpp"

#include <cstddef>
#include <memory>
#include <span>

namespace ringcast::engine {

class message_compression {
 public:
  struct needs {
    const connection_rules& rules;
    compressor& deflater;
    outbox& output;
    const std::unique_ptr<client_runner>& clients;
  };
  explicit message_compression(const needs& with) : with_(with) {}

  void begin(connection& c, const deflate_params& agreed);
  void end(connection& c);

  // Whether a message of so many bytes is worth it.
  [[nodiscard]] bool deflates(const connection& c, opcode op, std::size_t bytes) const {
    return c.deflate_bits != 0 && !is_control(op) && bytes >= threshold_to_one(with_.rules.compression_of(c));
  }
  void append_frame(connection& c, opcode op, std::span<const std::byte> payload);
  // A message that came with RSV1. What it inflates to is bounded at each step, so a bomb costs the limit and no more. It stands in
  // inflated() until release_inflated().
  [[nodiscard]] violation inflate(connection& c, const assembled& m);
  [[nodiscard]] std::span<std::byte> inflated() { return with_.deflater.inflated(); }
  void release_inflated() { with_.deflater.release_inflated(); }

 private:
  const needs with_;
};

} // namespace ringcast::engine
