// Whether this build has a sanitizer that looks at every access: some ten to a hundred times slower, and with an operator new of its own.
// For tests that then repeat less, or cannot count allocations and say so.
#pragma once

#include <cstdint>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RINGCAST_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define RINGCAST_SANITIZED
#endif
#endif

namespace ringcast {

#ifdef RINGCAST_SANITIZED
inline constexpr bool is_sanitized = true;
#else
inline constexpr bool is_sanitized = false;
#endif

// The thread sanitizer hands signals on late, and in a forked child perhaps never.
#if defined(__SANITIZE_THREAD__)
inline constexpr bool is_thread_sanitized = true;
#elif defined(__has_feature)
inline constexpr bool is_thread_sanitized = __has_feature(thread_sanitizer);
#else
inline constexpr bool is_thread_sanitized = false;
#endif

// The number of seeds or rounds that a build takes time for.
[[nodiscard]] constexpr std::uint64_t rounds(std::uint64_t many) { return is_sanitized ? (many + 4) / 5 : many; }

} // namespace ringcast
