// The home of rooms: the one shard, chosen by the hash of a room's name, that writes the room's log and keeps the names of its members.
//
// What shards publish is appended at once and thereby ordered; at the end of the loop turn the new spans go to every shard that has
// members of the room. Members that negotiated permessage-deflate read a log of their own, so a broadcast is compressed once, here. One home_table a shard, on its thread.
#pragma once

#include "engine/base/keyed_hash.hpp"
#include "engine/room/records.hpp"
#include "engine/room/room_log.hpp"
#include <ringcast/connection_handle.hpp>

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace ringcast::engine {

// How the home reaches a shard, itself included; the bytes are copied.
class shard_courier {
 public:
  virtual void deliver(std::uint32_t to, record_kind kind, std::span<const std::byte> value, std::span<const std::byte> more) = 0;

 protected:
  ~shard_courier() = default;
};

struct home_room {
  // A part of the room on a shard; a shard may have one for each encoding.
  struct branch {
    std::uint32_t shard;
    room_ref room; // its name there
    std::uint32_t members;
    room_encoding encoding;
  };
  struct wanted_report {
    std::uint32_t reporter;
    std::uint32_t report_id;
  };
  std::string name;
  std::array<room_log, room_encodings> logs; // one is written only while there is a branch to read it
  std::array<std::uint32_t, room_encodings> branches_of{};
  std::uint64_t next_sequence = 1;
  std::vector<branch> branches;
  std::unordered_map<std::string, std::uint64_t, peer_hash, std::equal_to<>> names; // of members -> connection_handle
  std::vector<wanted_report> reports; // asked for in this turn
  std::uint32_t members_here = 0; // on the home's own shard, which serves them
  bool dirty = false;

  [[nodiscard]] std::uint32_t members() const;
  [[nodiscard]] bool is_read(room_encoding encoding) const {
    const auto index = static_cast<std::size_t>(encoding);
    return branches_of[index] > 0 || logs[index].has_unpublished();
  }
};

class home_table {
 public:
  home_table(block_pool& blocks, shard_courier& courier, std::uint32_t own, std::uint32_t shards, compressor& with,
             const compression_options& compression)
      : chunks_(blocks), courier_(courier), own_(own), compressor_(with), compression_(compression), attached_(shards) {}

  void attach(std::uint32_t shard, const attach_record& part, std::string_view name);
  void detach(std::uint32_t shard, room_ref room);
  void set_members(std::uint32_t shard, room_ref room, std::uint32_t members);
  void publish(std::uint32_t shard, const publish_record& head, std::span<const std::byte> payload);

  // Whether the connection may take its seat. Without a name it may; with one only if nobody has that, or it takes it over.
  [[nodiscard]] bool claim_name(std::uint32_t shard, room_ref room, std::string_view name, std::uint64_t connection, bool takes_over);
  // For those who know only the name of the room. False if it has no members.
  [[nodiscard]] bool publish_to(std::string_view room, opcode op, std::span<const std::byte> payload);
  [[nodiscard]] connection_handle member(std::string_view room, std::string_view name) const;
  void release_name(std::uint32_t shard, room_ref room, std::string_view name, std::uint64_t connection);
  [[nodiscard]] std::uint64_t find_name(std::uint32_t shard, room_ref room, std::string_view name) const;

  // End of turn: what was appended goes to the shards with members; memory that every reader has left is taken back.
  void publish_spans();
  void reclaim() { chunks_.reclaim(); }
  [[nodiscard]] const chunk_store& chunks() const { return chunks_; }
  [[nodiscard]] bool has_unpublished() const { return !dirty_.empty(); }

  // All bytes that were ever appended to logs, times the members on this shard that are sent them; writing a log counts as sixteen members.
  [[nodiscard]] std::uint64_t fan_out_bytes() const { return fan_out_bytes_; }

  [[nodiscard]] const home_room* find(std::string_view name) const;
  // Calls visit(home_room) for the rooms behind `after` that have members, in the order of their names, at most `count`. Looks at no more
  // than some hundred rooms beyond these.
  struct list_end {
    std::string_view last; // the next call goes on behind this one
    bool more;
  };
  template <class Visit> [[nodiscard]] list_end list(std::string_view after, std::size_t count, Visit&& visit) const {
    std::size_t looks_left = count + empty_rooms_passed_max;
    std::string_view last = after;
    for (auto at = rooms_.upper_bound(after); at != rooms_.end(); ++at) {
      if (looks_left-- == 0) return {last, true};
      if (at->second->members() > 0) {
        if (count-- == 0) return {last, true};
        visit(*at->second);
      }
      last = at->first;
    }
    return {last, false};
  }
  [[nodiscard]] std::size_t size() const { return rooms_.size(); }

 private:
  void append(home_room& home, opcode op, std::span<const std::byte> payload, std::uint64_t author, bool author_hears);
  [[nodiscard]] std::uint32_t publish_encoding(home_room& home, room_encoding encoding);
  [[nodiscard]] home_room* room_of(std::uint32_t shard, room_ref room) const;

  // A room without members is one that is about to open or to go.
  static constexpr std::size_t empty_rooms_passed_max = 256;

  chunk_store chunks_;
  shard_courier& courier_;
  std::uint32_t own_;
  compressor& compressor_;
  const compression_options& compression_;
  // In the order of their names, so that a listing can be continued, and peers who choose the names cannot make a search long.
  std::map<std::string, std::unique_ptr<home_room>, std::less<>> rooms_;
  std::uint64_t fan_out_bytes_ = 0;
  struct attachment {
    std::uint32_t generation = 0;
    home_room* room = nullptr;
  };
  std::vector<std::vector<attachment>> attached_; // [shard][index]
  std::vector<home_room*> dirty_;
  // Scratch of publish_spans.
  std::vector<home_room*> publishing_;
  std::vector<log_span> spans_;
  std::vector<home_room::branch> targets_;
  std::vector<home_room::wanted_report> reports_;
};

template <class T> std::span<const std::byte> bytes_of(const T& value) { return {reinterpret_cast<const std::byte*>(&value), sizeof value}; }

} // namespace ringcast::engine
