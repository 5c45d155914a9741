// The application behind the server: what it is asked, and told. Made before the server and gone after it.
#pragma once

#include "apps/ringcast-server/application_gate.hpp"
#include "apps/ringcast-server/application_options.hpp"
#include "apps/ringcast-server/room_ledger.hpp"
#include "apps/ringcast-server/webhooks.hpp"
#include <ringcast/server.hpp>

#include <expected>
#include <memory>
#include <string>

namespace ringcast {

struct application {
  std::shared_ptr<application_gate> gate; // null: it is not asked
  std::unique_ptr<webhooks> hooks;        // null: it is told nothing
  std::unique_ptr<room_ledger> ledger;    // of them

  // The error is one sentence.
  [[nodiscard]] static std::expected<application, std::string> open(const application_options& options);
  // At SIGHUP what it said before is forgotten, and the key of webhooks is read again.
  void reload_with(server& s) const;
};

} // namespace ringcast
