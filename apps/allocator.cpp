// mimalloc stands behind operator new and delete of every program that links this file.
#include <mimalloc-new-delete.h>

#include <ringcast/memory_purge.hpp>

#include <mimalloc.h>

namespace {

// mimalloc gives freed pages back some time later, when something is next freed or taken beside them, and mi_collect() does not look at those in
// between. A server that has become quiet would keep them for good: 16 MiB of 240 in about every third run of tests/memory. At once instead; what is
// needed again soon is kept by the engine's own pools.
#if MI_MALLOC_VERSION >= 210
constexpr mi_option_t give_back_delay = mi_option_purge_delay;
#else
constexpr mi_option_t give_back_delay = mi_option_decommit_delay;
#endif

// What is not used any more goes back to the kernel when a shard has become quiet: of this thread's heap, and of the C library's, which wolfSSL uses.
[[maybe_unused]] const bool purge_is_set = [] {
  mi_option_set_default(give_back_delay, 0); // an environment that says otherwise is heard
  ringcast::set_memory_purge([] {
    mi_collect(true);
    ringcast::trim_c_heap();
  });
  return true;
}();

} // namespace
