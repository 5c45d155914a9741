// A scripted server's end of one connection: it answers the upgrade, echoes messages, joins in the closing handshake or
// begins it, and dies where its cut says so.
#pragma once

#include "tests/sim/kernel/kernel.hpp"
#include "tests/sim/rigs/payload.hpp"
#include <ringcast/opcode.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace ringcast::sim {

// Where and how a server dies. The bytes before the cut have reached the other side, no byte behind it does.
struct server_cut {
  enum class how : std::uint8_t {
    reset,   // RST
    fin,     // FIN, without a Close frame; it reads on until the other side closes
    close,   // close(2): FIN, and RST if anything is unread
    silence, // nothing is read or written any more, and nobody is told
  };
  how dies = how::reset;
  std::size_t written_max = SIZE_MAX;
  std::size_t read_max = SIZE_MAX;
};

enum class server_close : std::uint8_t { never, normal, going_away };

class server_peer {
 public:
  server_peer(kernel& world, remote socket, const server_cut& cut) : world_(world), socket_(std::move(socket)), cut_(cut) {}

  void act();
  void send_close(std::uint16_t code);
  // A text message of its own; nothing once it is dead.
  void say(std::string_view text);

  [[nodiscard]] bool is_over() const { return !socket_.is_open(); }
  [[nodiscard]] bool was_cut() const { return was_cut_; }
  [[nodiscard]] bool can_act() const;
  [[nodiscard]] std::size_t written() const { return written_; }
  // Counted in bytes written: when the other side has the whole of the answer, and of the Close frame.
  [[nodiscard]] bool answer_is_out() const { return answer_end_ != 0 && written_ >= answer_end_; }
  [[nodiscard]] bool close_is_out() const { return close_end_ != 0 && written_ >= close_end_; }
  [[nodiscard]] bool is_inside_frame() const { return answer_is_out() && !frame_ends_.contains(written_); }
  [[nodiscard]] bool has_read_close() const { return has_read_close_; }

  // What it says first, to who asked for this path and query.
  std::function<std::vector<std::string>(std::string_view target)> greeting;
  std::vector<said> heard;
  std::uint32_t pings_heard = 0;
  std::string complaint;

 private:
  void read();
  bool read_head();
  bool read_frame();
  void send_frame(opcode op, std::string_view payload);
  void write();
  void die();

  kernel& world_;
  remote socket_;
  server_cut cut_;
  std::string input_, output_;
  std::size_t read_ = 0, written_ = 0, queued_ = 0;
  std::set<std::size_t> frame_ends_;
  std::size_t answer_end_ = 0, close_end_ = 0;
  bool upgraded_ = false, was_cut_ = false, drains_ = false, silent_ = false, has_read_close_ = false;
};

} // namespace ringcast::sim
