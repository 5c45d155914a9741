// Many client connections on one epoll descriptor, owned by one thread: opening them at a pace, cutting what arrives
// into messages, or the events of an event stream, sending what is queued, and noticing each that ends. What the messages mean is the business of who
// derives from it.
//
// It is not the engine's client, on purpose: a generator that shares a ring and a loop with the server that it judges
// would be blind to the faults of both (kernel-notes/decisions/load-generator.md). It shares the parsers of proto/.
#pragma once

#include "apps/load/compression_counts.hpp"
#include "apps/load/dialer.hpp"
#include "apps/load/event_reader.hpp"
#include "apps/load/frame_deflater.hpp"
#include "apps/load/histogram.hpp"
#include "apps/load/link.hpp"
#include "proto/deflate.hpp"
#include "proto/frame_reader.hpp"
#include <ringcast/opcode.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace ringcast::load {

using namespace engine;

class connection_set {
 public:
  // Of all connections of a run, numbered from 0, the set has each `stride`-th from `first` on.
  struct share {
    unsigned first = 0;
    unsigned stride = 1;
    unsigned connections = 1; // Of the run.
    double ramp = 0; // New ones a second, over the whole run; 0: as fast as they open.
  };
  // `doorbell` is an eventfd that wakes it. `to` stays where it is.
  connection_set(const destination& to, const share& of_run, int doorbell);
  virtual ~connection_set();
  connection_set(const connection_set&) = delete;
  connection_set& operator=(const connection_set&) = delete;

  // Opens all of them, at most 128 at once over the whole run. False: see trouble().
  [[nodiscard]] bool open_all();
  // Nothing went wrong here, and nobody said halt().
  [[nodiscard]] bool is_going() const { return trouble_.empty() && !halted_; }

  [[nodiscard]] const std::string& trouble() const { return trouble_; }
  [[nodiscard]] unsigned open_count() const { return open_; }
  [[nodiscard]] std::uint64_t errors() const { return errors_; }
  [[nodiscard]] const histogram& handshakes() const { return handshakes_; }

 protected:
  enum class stage : std::uint8_t { unused, connecting, securing, upgrading, open, closing };

  // Sends what was queued; called by itself when the socket takes more.
  void flush(unsigned i);
  // Frames a text message into the connection's output: fill(payload) writes it before it is masked.
  template <typename Fill> void queue_message(unsigned i, std::size_t payload_bytes, Fill&& fill);
  void queue_control(unsigned i, opcode op, std::span<const std::byte> payload);
  // Begins to connect; on_opened or on_ended follows.
  bool begin(unsigned i);
  // Closes the socket now, without a word.
  void drop(unsigned i);
  // Sends a Close frame; on_ended follows when the server has answered and closed.
  void say_goodbye(unsigned i);
  // Stops taking what arrives: a reader that does not read.
  void stop_reading(unsigned i);
  void read_again(unsigned i);

  // Waits for the sockets, at most this long, and handles what they have.
  void turn(std::int64_t timeout_ns);
  void fail(std::string why);
  // Ends what is under way without being a failure of this set.
  void halt() { halted_ = true; }

  // What its URL ends with besides, this time.
  [[nodiscard]] virtual std::string more_query(unsigned) const { return {}; }
  // Whether it is opened as an event stream, which sends nothing, and what it asks to go on behind.
  [[nodiscard]] virtual bool is_event_stream(unsigned) const { return false; }
  [[nodiscard]] virtual std::string last_event_id(unsigned) const { return {}; }
  virtual void on_event(unsigned, const heard_event&) {}
  virtual void on_opened(unsigned) {}
  virtual void on_message(unsigned i, std::span<const std::byte> payload) = 0;
  // After all messages of one read.
  virtual void on_read(unsigned) {}
  // The connection is gone, and this is why; an open one that was not told to close counts as an error. The default
  // ends the run.
  virtual void on_ended(unsigned i, stage was, const std::string& why);
  virtual void on_turn() {}
  virtual void on_doorbell() = 0;

  [[nodiscard]] bool is_open(unsigned i) const { return connections_[i].at == stage::open; }
  [[nodiscard]] unsigned size() const { return static_cast<unsigned>(connections_.size()); }
  [[nodiscard]] std::int64_t received_ns() const { return received_ns_; }
  // Of the message that on_message() is called with; of an event it is text.
  [[nodiscard]] opcode received_opcode() const { return received_opcode_; }
  // Whether one more connection may begin to open now.
  [[nodiscard]] bool has_opening_room() const { return under_way_ < under_way_max_; }
  // The number of a connection in the whole run.
  [[nodiscard]] unsigned ordinal(unsigned i) const { return share_.first + i * share_.stride; }

  dialer dialer_;
  histogram handshakes_;
  std::uint64_t errors_ = 0;
  compression_counts compression_;

 private:
  // What a connection has that agreed on permessage-deflate. What we send refers to no earlier message, which is always
  // allowed, so that one compressor serves all.
  struct deflate_part {
    deflate_params agreed;
    std::optional<inflate_context> inflate; // If the server keeps its context.
    bool fragments_deflated = false;
  };
  // What is only needed with compression.
  struct deflate_scratch {
    frame_deflater compress;
    inflater inflate;
    std::vector<std::byte> message; // Before it is compressed.
    byte_buffer inflated;
  };

  struct connection {
    int fd = -1;
    stage at = stage::unused;
    bool waits_for_room = false; // EPOLLOUT is armed.
    bool deaf = false; // stop_reading()
    std::int64_t begun_ns = 0;
    output out; // Frames; with TLS they are encrypted when they are flushed.
    std::unique_ptr<link> tls;
    std::unique_ptr<deflate_part> deflate;
    std::unique_ptr<event_reader> events; // Of an event stream that is open.
    std::vector<std::byte> rest; // Input that is not a whole frame yet.
    std::unique_ptr<std::vector<std::byte>> fragments;
    opcode fragments_opcode = opcode::text;
    websocket_key key{};
  };

  void arm(unsigned i, std::uint32_t events, bool first);
  void on_ready(unsigned i, std::uint32_t events);
  void on_connected(unsigned i);
  void begin_upgrade(unsigned i);
  void on_input(unsigned i);
  void on_ciphertext(unsigned i, std::span<std::byte> input);
  void on_plaintext(unsigned i, std::span<std::byte> input);
  // Takes what it can from the front of `input` and returns how much; stops when the connection has ended.
  std::size_t take_input(unsigned i, std::span<std::byte> input);
  std::size_t take_answer(unsigned i, std::span<const std::byte> input);
  std::size_t take_stream_answer(unsigned i, std::span<const std::byte> input);
  void take_events(unsigned i, std::span<const std::byte> input);
  void note_open(unsigned i);
  void on_frame(unsigned i, const frame& got);
  void on_data_frame(unsigned i, const frame& got);
  void on_whole_message(unsigned i, std::span<const std::byte> payload, bool deflated);
  void queue_deflated(unsigned i, std::span<const std::byte> message);
  // Through TLS, if there is any.
  static send_status send(connection& c);
  void end(unsigned i, const std::string& why);
  [[nodiscard]] std::uint32_t next_masking_key();

  share share_;
  unsigned under_way_max_;
  int epoll_fd_ = -1;
  std::vector<connection> connections_;
  std::vector<std::byte> buffer_;
  std::unique_ptr<deflate_scratch> scratch_;
  std::vector<std::unique_ptr<link>> retired_; // A session cannot go while it hands on what it has decrypted.
  std::mt19937 random_;
  unsigned open_ = 0;
  unsigned under_way_ = 0;
  std::int64_t received_ns_ = 0;
  opcode received_opcode_ = opcode::text;
  std::string trouble_;
  bool halted_ = false;
};

} // namespace ringcast::load

#include "proto/frame_writer.hpp"

template <typename Fill> void ringcast::load::connection_set::queue_message(unsigned i, std::size_t payload_bytes, Fill&& fill) {
  connection& c = connections_[i];
  if (c.deflate) {
    scratch_->message.resize(payload_bytes);
    fill(scratch_->message.data());
    return queue_deflated(i, scratch_->message);
  }
  const std::size_t bytes = frame_bytes(payload_bytes, true);
  std::byte* const frame = c.out.buffer().prepare(bytes).data();
  const std::uint32_t key = next_masking_key();
  std::byte* const payload = frame + write_masked_frame_header(frame, opcode::text, payload_bytes, key);
  fill(payload);
  mask_in_place(payload, payload_bytes, key);
  c.out.buffer().commit(bytes);
}
