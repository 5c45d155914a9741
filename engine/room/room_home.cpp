#include "engine/room/room_home.hpp"

#include <ringcast/detail/assert.hpp>

#include <algorithm>

namespace ringcast::engine {

std::uint32_t home_room::members() const {
  std::uint32_t sum = 0;
  for (const branch& b : branches) sum += b.members;
  return sum;
}

home_room* home_table::room_of(std::uint32_t shard, room_ref room) const {
  const auto& known = attached_[shard];
  if (room.index >= known.size() || known[room.index].generation != room.generation) return nullptr;
  return known[room.index].room;
}

void home_table::attach(std::uint32_t shard, const attach_record& part, std::string_view name) {
  const room_ref room = part.room;
  auto& known = attached_[shard];
  if (room.index >= known.size()) known.resize(room.index + 1);
  auto [found, made] = rooms_.try_emplace(std::string{name});
  if (made) {
    found->second = std::make_unique<home_room>();
    found->second->name = name;
  }
  home_room* home = found->second.get();
  known[room.index] = {room.generation, home};
  home->branches.push_back({shard, room, 0, part.encoding});
  ++home->branches_of[static_cast<std::size_t>(part.encoding)];
}

void home_table::detach(std::uint32_t shard, room_ref room) {
  home_room* home = room_of(shard, room);
  if (home == nullptr) return;
  attached_[shard][room.index] = {};
  std::erase_if(home->branches, [&](const home_room::branch& b) {
    if (b.shard != shard || b.room.index != room.index) return false;
    --home->branches_of[static_cast<std::size_t>(b.encoding)];
    if (shard == own_) home->members_here -= b.members;
    return true;
  });
  if (!home->branches.empty() || home->dirty) return;
  rooms_.erase(rooms_.find(home->name));
}

void home_table::set_members(std::uint32_t shard, room_ref room, std::uint32_t members) {
  home_room* home = room_of(shard, room);
  if (home == nullptr) return;
  for (home_room::branch& b : home->branches)
    if (b.shard == shard && b.room.index == room.index) {
      if (shard == own_) home->members_here += members - b.members;
      b.members = members;
    }
}

void home_table::publish(std::uint32_t shard, const publish_record& head, std::span<const std::byte> payload) {
  home_room* home = room_of(shard, head.room);
  if (home == nullptr) return;
  if (head.report_id != 0) home->reports.push_back({shard, head.report_id});
  append(*home, head.op, payload, head.author, head.author_hears);
}

bool home_table::publish_to(std::string_view room, opcode op, std::span<const std::byte> payload) {
  const auto found = rooms_.find(room);
  if (found == rooms_.end() || found->second->members() == 0) return false;
  append(*found->second, op, payload, 0, true);
  return true;
}

void home_table::append(home_room& home, opcode op, std::span<const std::byte> payload, std::uint64_t author, bool author_hears) {
  // Both logs get room before either gets the message: where there is no memory neither has it, and its number is given to the next.
  if (home.is_read(room_encoding::plain)) home.logs[0].prepare(chunks_, payload.size());
  if (home.is_read(room_encoding::deflating)) home.logs[1].prepare_deflated(chunks_, payload.size(), compression_);
  const log_message message{.op = op, .payload = payload, .author = author, .author_hears = author_hears, .sequence = home.next_sequence++};
  std::uint64_t readers = home.members_here;
  if (home.is_read(room_encoding::plain)) {
    home.logs[0].append(chunks_, message);
    readers += 16;
  }
  if (home.is_read(room_encoding::deflating)) {
    home.logs[1].append_deflated(chunks_, message, compressor_, compression_);
    readers += 16;
  }
  fan_out_bytes_ += payload.size() * readers;
  if (home.dirty) return;
  home.dirty = true;
  dirty_.push_back(&home);
}

connection_handle home_table::member(std::string_view room, std::string_view name) const {
  const home_room* home = find(room);
  if (home == nullptr) return {};
  const auto found = home->names.find(name);
  return found == home->names.end() ? connection_handle{} : connection_handle{found->second};
}

bool home_table::claim_name(std::uint32_t shard, room_ref room, std::string_view name, std::uint64_t connection, bool takes_over) {
  home_room* home = room_of(shard, room);
  if (home == nullptr || name.empty()) return home != nullptr;
  if (takes_over) home->names.insert_or_assign(std::string{name}, connection);
  return takes_over || home->names.try_emplace(std::string{name}, connection).second;
}

void home_table::release_name(std::uint32_t shard, room_ref room, std::string_view name, std::uint64_t connection) {
  home_room* home = room_of(shard, room);
  if (home == nullptr) return;
  const auto found = home->names.find(name);
  if (found != home->names.end() && found->second == connection) home->names.erase(found);
}

std::uint64_t home_table::find_name(std::uint32_t shard, room_ref room, std::string_view name) const {
  const home_room* home = room_of(shard, room);
  if (home == nullptr) return 0;
  const auto found = home->names.find(name);
  return found == home->names.end() ? 0 : found->second;
}

// Returns how many shards were told.
std::uint32_t home_table::publish_encoding(home_room& home, room_encoding encoding) {
  targets_.clear();
  for (const home_room::branch& b : home.branches)
    if (b.encoding == encoding && b.members > 0) targets_.push_back(b);
  const auto readers = static_cast<std::uint32_t>(targets_.size());
  spans_.clear();
  home.logs[static_cast<std::size_t>(encoding)].publish(readers, spans_);
  for (const home_room::branch& b : targets_) {
    for (const log_span& span : spans_) courier_.deliver(b.shard, record_kind::span, bytes_of(span_record{b.room, span}), {});
    for (const home_room::wanted_report& wanted : reports_)
      courier_.deliver(b.shard, record_kind::report_request, bytes_of(report_request_record{b.room, wanted.reporter, wanted.report_id}), {});
  }
  return readers;
}

void home_table::publish_spans() {
  // What a delivery makes a member say (it may be closed, and say that it left) waits for the next turn.
  publishing_.swap(dirty_);
  for (home_room* home : publishing_) {
    home->dirty = false;
    reports_.swap(home->reports);
    std::uint32_t readers = 0;
    for (std::size_t encoding = 0; encoding < room_encodings; ++encoding) readers += publish_encoding(*home, static_cast<room_encoding>(encoding));
    for (const home_room::wanted_report& wanted : reports_)
      courier_.deliver(wanted.reporter, record_kind::report_expect, bytes_of(report_expect_record{wanted.report_id, readers}), {});
    reports_.clear();
    if (home->branches.empty() && !home->dirty) rooms_.erase(rooms_.find(home->name));
  }
  publishing_.clear();
}

const home_room* home_table::find(std::string_view name) const {
  const auto found = rooms_.find(name);
  return found == rooms_.end() ? nullptr : found->second.get();
}

} // namespace ringcast::engine
