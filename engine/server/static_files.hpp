// The files of a folder as a handler: ringcast/files.hpp says which, and how they are answered. What reads runs in threads of its own.
#pragma once

#include <ringcast/files.hpp>
#include <ringcast/request.hpp>

#include <string>

namespace ringcast::engine {

// Throws std::system_error if the folder cannot be opened, or a thread not be started.
[[nodiscard]] request_handler serve_files(const std::string& folder, file_options options);

} // namespace ringcast::engine
