// The connections of one shard, and the names by which others know them.
#pragma once

#include "engine/connection/connection.hpp"
#include <ringcast/connection_handle.hpp>

#include <cstdint>

namespace ringcast::engine {

class shard_connections : public connection_table {
 public:
  explicit shard_connections(std::uint32_t index) : index_(index) {}

  // Of the shard.
  [[nodiscard]] std::uint32_t index() const { return index_; }
  [[nodiscard]] connection_handle handle_of(const connection& c) const { return connection_handle::make(index_, c.generation, c.slot); }
  using connection_table::find;
  // Null also if it is a connection of another shard.
  [[nodiscard]] connection* find(connection_handle handle) {
    return handle.shard() == index_ && handle ? find(handle.slot(), handle.generation()) : nullptr;
  }

 private:
  std::uint32_t index_;
};

} // namespace ringcast::engine
