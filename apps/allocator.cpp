// mimalloc stands behind operator new and delete of every program that links this file.
#include <mimalloc-new-delete.h>

#include <ringcast/memory_purge.hpp>

#include <mimalloc.h>

namespace {

// What is not used any more goes back to the kernel when a shard has become quiet: of this thread's heap, and of the C library's, which wolfSSL uses.
[[maybe_unused]] const bool purge_is_set = [] {
  ringcast::set_memory_purge([] {
    mi_collect(true);
    ringcast::trim_c_heap();
  });
  return true;
}();

} // namespace
