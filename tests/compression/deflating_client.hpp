// A WebSocket client with permessage-deflate by zlib, of plain blocking calls, for tests of the server.
#pragma once

#include "tests/deflate/zlib_peer.hpp"
#include "tests/library/wire_client.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace ringcast {

class deflating_client {
 public:
  // What was agreed on, taken from the server's answer.
  struct agreement {
    bool accepted = false;
    bool server_forgets = false, client_forgets = false;
    int server_bits = 15, client_bits = 15;
    std::string text; // the field's value
  };

  // Upgrades with this offer; empty: none.
  deflating_client(const std::string& address, std::string_view target, std::string_view offer = "permessage-deflate; client_max_window_bits");

  // Compressed, whatever its size, if that was agreed on; in so many fragments.
  void send(opcode op, std::string_view message, std::size_t fragments = 1);
  // What send() would put on the wire, unmasked and without a header. It moves the window.
  [[nodiscard]] std::string deflated(std::string_view message);
  void send_plain(opcode op, std::string_view message) { wire_.send(op, message); }
  // A frame with RSV1 and this payload.
  void send_payload(opcode op, std::string_view payload, bool fin = true);

  struct received {
    opcode op = opcode::continuation;
    bool compressed = false;
    std::size_t wire_bytes = 0; // of the payload as it came
    std::string text;           // inflated; what is wrong in angle brackets
  };
  received receive(int timeout_ms = 5000);
  std::string text(int timeout_ms = 5000) { return receive(timeout_ms).text; }

  [[nodiscard]] const agreement& agreed() const { return agreed_; }
  [[nodiscard]] wire_client& wire() { return wire_; }

 private:
  wire_client wire_;
  agreement agreed_;
  std::unique_ptr<test::zlib_deflater> deflater_;
  std::unique_ptr<test::zlib_inflater> inflater_;
};

[[nodiscard]] std::string compressed_frame(opcode op, std::string_view payload, bool fin = true);

// Text of that length like what programs say to each other, different for each seed.
[[nodiscard]] std::string json_text(std::size_t bytes, unsigned seed = 1);
// Text of that length that does not shrink by much, and bytes that do not shrink.
[[nodiscard]] std::string noise_bytes(std::size_t bytes, unsigned seed = 1);

} // namespace ringcast
