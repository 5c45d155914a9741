// The fuzz target of reader and assembler. How it works:
// 1. The first bytes of the input choose the role, whether compression was negotiated, the limits, and how the rest is
//    cut into pieces.
// 2. The rest is fed twice: whole, and in those pieces, as a connection would, each time from memory that is exactly as
//    long as what has arrived, so that the address sanitizer sees an access of one byte too many.
// 3. Both runs must tell the same events, leave the same bytes unread, and keep the rules that hold for any input.
#include "proto/close_handshake.hpp"
#include "proto/frame_reader.hpp"
#include "proto/message_assembler.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

using namespace ringcast;

namespace {

using bytes = std::vector<std::byte>;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

struct event {
  assembled::kind what;
  opcode op;
  bytes payload;
  bool compressed;
  violation broken;
  friend bool operator==(const event&, const event&) = default;
};

struct settings {
  frame_rules rules;
  std::uint64_t message_bytes_max;
};

/// One connection's reading end.
class reading_end {
 public:
  explicit reading_end(const settings& chosen) : chosen_(chosen) {}

  void arrive(std::span<const std::byte> piece) {
    pending_.insert(pending_.end(), piece.begin(), piece.end());
    if (failed_) return;
    const std::size_t size = pending_.size();
    const auto memory = std::make_unique<std::byte[]>(size);
    std::ranges::copy(pending_, memory.get());
    std::span<std::byte> input{memory.get(), size};
    while (read_one(input)) {
    }
    pending_.assign(input.begin(), input.end());
  }

  std::vector<event> story;
  [[nodiscard]] const bytes& pending() const { return pending_; }
  [[nodiscard]] bool failed() const { return failed_; }

 private:
  bool read_one(std::span<std::byte>& input) {
    const bytes before(input.begin(), input.end());
    const frame_result result = read_frame(input, chosen_.rules);
    if (result.status != read_status::frame) {
      if (result.status == read_status::need_more) {
        const violation rule = seen_.check(input, chosen_.rules, assembler_, chosen_.message_bytes_max);
        if (rule != violation::none) fail(rule);
        require(seen_.checked_bytes() <= input.size(), "only what has come is checked");
      }
      require(std::ranges::equal(before, input), "only a whole frame changes the input");
      if (result.status == read_status::need_more) {
        require(result.frame_bytes_wanted == 0 || result.frame_bytes_wanted > input.size(), "more is wanted");
        require(result.frame_bytes_wanted <=
                    frame_header_bytes_max + std::max<std::uint64_t>(chosen_.rules.payload_bytes_max, control_payload_bytes_max),
                "what is wanted stays within the limit");
      } else {
        fail(result.broken);
      }
      return false;
    }
    const frame& next = result.value;
    require(next.frame_bytes <= input.size() && next.frame_bytes >= 2, "a frame lies within the input");
    require(next.payload.data() + next.payload.size() == input.data() + next.frame_bytes, "the payload ends the frame");
    const auto header = decode_frame_header(before);
    require(header && header->op == next.op && header->fin == next.fin && header->rsv1 == next.rsv1 &&
                header->header_bytes + header->payload_bytes == next.frame_bytes,
            "the header says the same");

    const auto is_ascii = [](std::byte octet) { return std::to_integer<unsigned>(octet) < 0x80; };
    require(!next.is_ascii || std::ranges::all_of(next.payload, is_ascii), "what is called ASCII is ASCII");

    const assembled made = assembler_.take(next, chosen_.message_bytes_max, seen_);
    seen_ = {};
    if (made.what == assembled::kind::violation) {
      fail(made.broken);
      return false;
    }
    if (made.what != assembled::kind::none) check_and_keep(made);
    input = input.subspan(next.frame_bytes);
    return true;
  }

  void check_and_keep(const assembled& made) {
    if (made.what == assembled::kind::message) {
      require(made.op == opcode::text || made.op == opcode::binary, "a message is text or binary");
      const std::uint64_t limit = made.compressed ? compressed_bytes_max(chosen_.message_bytes_max) : chosen_.message_bytes_max;
      require(made.payload.size() <= limit, "a message stays within the limit");
      require(!made.compressed || chosen_.rules.rsv1_allowed, "compression was negotiated");
      if (made.op == opcode::text && !made.compressed) require(is_valid_utf8(made.payload), "text is UTF-8");
    } else {
      require(is_control(made.op) && made.payload.size() <= control_payload_bytes_max, "a control frame is short");
      if (made.op == opcode::close) require(parse_close(made.payload).has_value(), "a close frame is valid");
    }
    story.push_back({made.what, made.op, bytes(made.payload.begin(), made.payload.end()), made.compressed, {}});
  }

  void fail(violation broken) {
    require(broken != violation::none, "a violation has a name");
    failed_ = true;
    story.push_back({assembled::kind::violation, opcode::continuation, {}, false, broken});
  }

  settings chosen_;
  message_assembler assembler_;
  unfinished_text seen_;
  bytes pending_;
  bool failed_ = false;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  constexpr std::uint64_t limits[] = {0, 5, 125, 126, 1000, 65'535, 65'536, ~std::uint64_t{0} >> 1};
  const settings chosen{.rules = {.our_role = (data[0] & 1) != 0 ? role::client : role::server,
                                  .payload_bytes_max = limits[(data[0] >> 2) & 7],
                                  .rsv1_allowed = (data[0] & 2) != 0},
                        .message_bytes_max = limits[(data[0] >> 5) & 7]};
  std::uint32_t cut_state = data[1] | 1U;
  const unsigned piece_bytes_max = 1 + (data[2] & 0x3FU);
  const std::span<const std::byte> input{reinterpret_cast<const std::byte*>(data + 3), size - 3};

  reading_end whole(chosen);
  whole.arrive(input);

  reading_end in_pieces(chosen);
  for (std::size_t at = 0; at < input.size();) {
    cut_state = cut_state * 1664525U + 1013904223U;
    const std::size_t length = std::min<std::size_t>(1 + (cut_state >> 16) % piece_bytes_max, input.size() - at);
    in_pieces.arrive(input.subspan(at, length));
    at += length;
  }

  require(whole.story == in_pieces.story, "the pieces tell the same story");
  require(whole.failed() || whole.pending() == in_pieces.pending(), "the same bytes are left");
  return 0;
}
