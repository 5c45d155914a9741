// Files of a folder as answers: server::files("/static/*", "public").
#pragma once

#include <cstdint>
#include <string>

namespace ringcast {

// What is served: regular files in and below the folder, by GET and HEAD, with type, ETag and Last-Modified; 304 and 206 as RFC 9110 13 and 14
// have them, of ranges one at a time. Never anything outside of the folder, also not by a symbolic link; no name that begins with a dot, but
// /.well-known. A file is read by two threads beside the shards, as it is at that moment, and held in memory until its peer has taken it.
struct file_options {
  std::string index = "index.html"; // what a path that ends with a slash stands for; empty: nothing
  std::string cache_control;        // that header, as "public, max-age=3600"; empty: none, and browsers ask again in their own time
  // Of one answer, since it stands in memory. A larger file is served in ranges, each cut to this; asked for whole it is answered 403.
  std::uint64_t answer_bytes_max = 16u << 20;
};

} // namespace ringcast
