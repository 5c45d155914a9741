#include "engine/server/static_files.hpp"

#include "engine/server/file_answer.hpp"
#include <ringcast/run_on.hpp>

#include <cerrno>
#include <fcntl.h>
#include <memory>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace ringcast::engine {

namespace {

// What a route of files keeps; longer than its requests, by their work.
struct served_folder {
  served_folder(const std::string& folder, file_options with)
      : options(std::move(with)), descriptor(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {
    if (descriptor < 0) throw std::system_error(errno, std::system_category(), "the folder " + folder);
  }
  served_folder(const served_folder&) = delete;
  served_folder& operator=(const served_folder&) = delete;
  ~served_folder() { ::close(descriptor); }

  const file_options options;
  const int descriptor;
};

file_question question_of(const request& req) {
  const std::string_view target = req.target();
  return {.path = std::string{req.path("*")},
          .target_path = std::string{target.substr(0, target.find('?'))},
          .if_none_match = std::string{req.header("If-None-Match")},
          .if_modified_since = std::string{req.header("If-Modified-Since")},
          .if_range = std::string{req.header("If-Range")},
          .range = std::string{req.method() == "GET" ? req.header("Range") : std::string_view{}}}; // RFC 9110 14.2
}

task<void> serve(thread_pool& pool, std::shared_ptr<const served_folder> from, request& req) {
  auto answer = co_await run_on(pool, [from, asked = question_of(req)] { return answer_with_file(from->descriptor, asked, from->options); });
  if (!answer) co_return req.respond(status::service_unavailable, "too many files are being read");
  for (const auto& [name, value] : answer->headers) req.add_header(name, value);
  req.respond(answer->code, answer->body, answer->type);
}

} // namespace

request_handler serve_files(const std::string& folder, file_options options) {
  auto from = std::make_shared<const served_folder>(folder, std::move(options));
  auto pool = std::make_shared<thread_pool>(thread_pool_options{.threads = 2});
  return [from, pool](request& req) { return serve(*pool, from, req); };
}

} // namespace ringcast::engine
