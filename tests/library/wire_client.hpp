// A WebSocket client of plain blocking calls, for tests of the server: it does exactly what a test says, well or badly.
#pragma once

#include <ringcast/opcode.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ringcast {

class wire_client {
 public:
  // "127.0.0.1:PORT", from this address of the own host if it is given: "127.0.0.2:0".
  explicit wire_client(const std::string& address, const std::string& from = {});
  ~wire_client();
  wire_client(const wire_client&) = delete;
  wire_client& operator=(const wire_client&) = delete;

  // Sends the upgrade request and reads the answer's head.
  std::string upgrade(std::string_view target, std::string_view more_headers = {});
  // Sends a request as it stands and reads the answer's head and body.
  std::string http(std::string_view request);
  void send(opcode op, std::string_view payload, bool fin = true);
  void send_bytes(std::string_view bytes);
  void close(std::uint16_t code, std::string_view reason = {});

  struct frame {
    opcode op;
    std::string payload;
    bool compressed = false; // RSV1; the payload is as it came
    [[nodiscard]] std::uint16_t code() const; // of a close frame
    [[nodiscard]] std::string reason() const { return payload.size() > 2 ? payload.substr(2) : std::string{}; }
  };
  // Nothing at the end of the stream, or when nothing came for `timeout_ms`.
  std::optional<frame> receive(int timeout_ms = 5000);
  // The next text message; "<close CODE>" for a close frame, "<end>" for the end or silence.
  std::string text(int timeout_ms = 5000);
  [[nodiscard]] bool ended(int timeout_ms = 5000); // end of stream within that time
  // What has come, up to the mark and with it; all that came where it does not.
  std::string until(std::string_view mark, int timeout_ms = 5000);
  // Takes that many bytes without looking at them, and without allocating.
  bool discard(std::size_t bytes);
  // The same with what has come, without waiting for more.
  void discard_what_came();
  void shut_down_writing();
  void reset(); // RST instead of FIN when it is destroyed
  // How much can be sent before TCP pushes back, without waiting.
  std::size_t send_until_full(std::string_view bytes, std::size_t most);

 private:
  bool fill(int timeout_ms);
  int socket_;
  std::string in_;
};

[[nodiscard]] std::string masked_frame(opcode op, std::string_view payload, bool fin = true);

} // namespace ringcast
