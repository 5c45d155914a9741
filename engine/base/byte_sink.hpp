// Where bytes go that are made piece by piece: a reference to anything that has append(span of bytes). Two words,
// nothing owned; made at the call and gone with it.
#pragma once

#include <concepts>
#include <cstddef>
#include <span>

namespace ringcast::engine {

class byte_sink {
 public:
  template <typename Target>
    requires(!std::same_as<Target, byte_sink> && !std::same_as<Target, const byte_sink>) &&
                requires(Target& target, std::span<const std::byte> bytes) { target.append(bytes); }
  byte_sink(Target& target) noexcept
      : target_{&target}, append_{[](void* to, std::span<const std::byte> bytes) { static_cast<Target*>(to)->append(bytes); }} {}

  /// The bytes are only valid during the call.
  void append(std::span<const std::byte> bytes) const { append_(target_, bytes); }

 private:
  void* target_;
  void (*append_)(void*, std::span<const std::byte>);
};

} // namespace ringcast::engine
