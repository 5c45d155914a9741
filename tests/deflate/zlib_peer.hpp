// The other end of permessage-deflate, written over zlib in the words of RFC 7692 section 7.2. It shares nothing with
// proto/deflate, so that an agreement of the two means something.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <stdexcept>
#include <vector>
#include <zlib.h>

namespace ringcast::test {

using bytes = std::vector<std::byte>;

/// Compresses as a peer does. zlib cannot make a raw stream with a window of 2^8 and takes 9 for it.
class zlib_deflater {
 public:
  explicit zlib_deflater(int window_bits = 15, int level = 6) {
    if (deflateInit2(&stream_, level, Z_DEFLATED, -std::max(window_bits, 9), 8, Z_DEFAULT_STRATEGY) != Z_OK) throw std::runtime_error("deflateInit2");
  }
  ~zlib_deflater() { deflateEnd(&stream_); }
  zlib_deflater(const zlib_deflater&) = delete;
  zlib_deflater& operator=(const zlib_deflater&) = delete;

  void reset() { deflateReset(&stream_); }

  /// 7.2.1: flushed, and without its last four bytes.
  bytes message(std::span<const std::byte> content) {
    bytes payload = run(content, Z_SYNC_FLUSH);
    payload.resize(payload.size() - 4);
    return payload;
  }
  /// 7.2.3.4: the stream ends with BFINAL, and a byte 00 follows. A new stream begins with the next message.
  bytes final_message(std::span<const std::byte> content) {
    bytes payload = run(content, Z_FINISH);
    payload.push_back(std::byte{0x00});
    deflateReset(&stream_);
    return payload;
  }
  bytes run(std::span<const std::byte> content, int flush) {
    bytes out(deflateBound(&stream_, content.size()) + 64);
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(content.data()));
    stream_.avail_in = static_cast<uInt>(content.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(out.size());
    const int result = deflate(&stream_, flush);
    if ((result != Z_OK && result != Z_STREAM_END) || stream_.avail_in != 0) throw std::runtime_error("deflate");
    out.resize(out.size() - stream_.avail_out);
    return out;
  }

 private:
  z_stream stream_{};
};

/// Decompresses as a strict peer does: one byte of output at a time where `narrow`, so that a match that reaches out of
/// the window is an error and not a lucky hit in a large output buffer.
class zlib_inflater {
 public:
  explicit zlib_inflater(int window_bits = 15) {
    if (inflateInit2(&stream_, -window_bits) != Z_OK) throw std::runtime_error("inflateInit2");
  }
  ~zlib_inflater() { inflateEnd(&stream_); }
  zlib_inflater(const zlib_inflater&) = delete;
  zlib_inflater& operator=(const zlib_inflater&) = delete;

  void reset() { inflateReset(&stream_); }

  /// The content, or nothing where the payload is broken or incomplete.
  std::optional<bytes> message(std::span<const std::byte> payload, bool narrow = false) {
    bytes input(payload.begin(), payload.end());
    const bool has_payload = !input.empty();
    for (const unsigned octet : {0x00U, 0x00U, 0xffU, 0xffU}) input.push_back(static_cast<std::byte>(octet));
    bytes out;
    bytes room(narrow ? 1 : 64 * 1024);
    stream_.next_in = reinterpret_cast<Bytef*>(input.data());
    stream_.avail_in = static_cast<uInt>(input.size());
    bool ended = false;
    for (;;) {
      stream_.next_out = reinterpret_cast<Bytef*>(room.data());
      stream_.avail_out = static_cast<uInt>(room.size());
      const int result = inflate(&stream_, Z_SYNC_FLUSH);
      out.insert(out.end(), room.begin(), room.end() - stream_.avail_out);
      if (result == Z_STREAM_END) {
        inflateReset(&stream_);
        ended = stream_.avail_in == 4;
        if (ended) break; // The payload ended with BFINAL and without the byte 00 behind it.
        if (stream_.avail_in < 4) return std::nullopt;
        continue;
      }
      if (result != Z_OK && result != Z_BUF_ERROR) return std::nullopt;
      // Asked once more between two blocks, zlib would no longer say that it stands there.
      if (stream_.avail_in == 0 && (stream_.avail_out > 0 || (stream_.data_type & 128) != 0)) break;
    }
    // 128: zlib stands between two blocks; the low bits count what it has not used of the last byte.
    if (!has_payload || (!ended && (stream_.data_type & (128 | 7)) != 128)) return std::nullopt;
    return out;
  }

 private:
  z_stream stream_{};
};

} // namespace ringcast::test
