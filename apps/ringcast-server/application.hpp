// The application behind the server: what it is asked, and told. Made before the server and gone after it.
#pragma once

#include "apps/ringcast-server/application_gate.hpp"
#include "apps/ringcast-server/application_options.hpp"
#include <ringcast/server.hpp>

#include <expected>
#include <memory>
#include <string>

namespace ringcast {

struct application {
  std::shared_ptr<application_gate> gate; // null: it is not asked

  // The error is one sentence.
  [[nodiscard]] static std::expected<application, std::string> open(const application_options& options);
  // At SIGHUP what it said before is forgotten.
  void reload_with(server& s) const;
};

} // namespace ringcast
