// How often the test program has called operator new so far, over all threads.
#pragma once

#include <cstddef>

std::size_t allocation_count() noexcept;
