// A scripted client on another machine: it speaks HTTP and WebSocket over a simulated connection, writes what it is told
// as the socket takes it, reads when it is told, and judges every frame that comes.
#pragma once

#include "proto/deflate.hpp"
#include "proto/extension.hpp"
#include "tests/sim/kernel/kernel.hpp"
#include "tests/support/event_reader.hpp"
#include <ringcast/opcode.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace ringcast::sim {

struct peer_message {
  opcode op;
  std::string payload;
};

class peer {
 public:
  enum class state : std::uint8_t {
    nothing,    // never connected
    asking,     // the request is sent, the answer is not there
    open,       // a WebSocket, or an event stream
    closing,    // a Close frame was sent, none was received
    closed,     // both Close frames, or the last chunk of an event stream, or an HTTP answer with "Connection: close", then the end of the stream
    lost,       // the connection ended in another way
    wrong,      // the server did what it must not: see complaint()
  };

  explicit peer(kernel& world) : world_(world) {}

  // Before ask_for_websocket(): it offers permessage-deflate, and compresses some of its messages if the server agrees.
  std::optional<deflate_offer> offers;

  // --- what it does ---
  bool connect(std::uint16_t port);
  void ask_for_websocket(std::string_view target);
  // Server-sent events; with the id of the last event that it has heard, unless that is empty.
  void ask_for_events(std::string_view target, std::string_view last_event_id);
  void ask(std::string_view method, std::string_view target, std::string_view body = {});
  // In `fragments` frames, with a ping in between when there are several.
  void send_message(opcode op, std::string_view payload, unsigned fragments = 1);
  void send_ping(std::string_view payload);
  void send_close(std::uint16_t code);
  void send_bytes(std::string_view bytes);
  void half_close();
  void close();
  void reset();

  // Writes and reads what it can; without `reads` it leaves what came in the socket.
  void act(bool reads);

  // --- what became of it ---
  state now() const { return state_; }
  bool is_over() const { return state_ == state::closed || state_ == state::lost || state_ == state::wrong; }
  const std::string& complaint() const { return complaint_; }
  std::uint16_t close_code() const { return close_code_; }
  bool has_unsent() const { return sent_ < output_.size(); }
  // Whether act(true) would move a byte.
  bool can_act() const {
    if (!socket_.is_open()) return false;
    const int ready = socket_.end().readiness();
    return (ready & POLLIN) != 0 || (has_unsent() && socket_.end().send_room() > 0);
  }
  bool compresses() const { return deflate_.has_value(); }
  std::size_t pongs_missing() const { return pings_.size(); }
  std::uint32_t pings_heard() const { return pings_heard_; }
  remote& socket() { return socket_; }
  const remote& socket() const { return socket_; }
  const std::string& unparsed() const { return input_; }

  std::function<void(const peer_message&)> on_message;
  std::function<void(const event_reader::event&)> on_event;
  std::function<void()> on_open;
  std::function<void(int status, std::string_view body)> on_answer;

 private:
  void send_frame(opcode op, std::string_view payload, bool fin, bool rsv1 = false);
  bool inflate_message();
  void read();
  bool read_head();
  bool read_frame();
  bool read_events();
  void on_frame(opcode op, bool fin, bool rsv1, std::string payload);
  void ended(bool clean);
  void complain(const std::string& what);

  kernel& world_;
  remote socket_;
  state state_ = state::nothing;
  std::string output_;
  std::size_t sent_ = 0;
  bool half_close_wanted_ = false;
  std::string input_;
  std::string complaint_;
  std::uint16_t close_code_ = 0;
  bool close_sent_ = false;
  bool close_received_ = false;
  bool wants_websocket_ = false;
  std::optional<event_reader> events_;
  bool last_answer_ = false; // the server said that it closes
  bool inside_message_ = false;
  bool message_is_deflated_ = false;
  std::optional<deflate_params> deflate_; // what was agreed
  std::optional<inflate_context> inflates_;
  peer_message message_{};
  std::vector<std::string> pings_; // sent, and not yet answered
  std::uint32_t pings_heard_ = 0;
};

} // namespace ringcast::sim
