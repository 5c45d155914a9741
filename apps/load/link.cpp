#include "apps/load/link.hpp"

namespace ringcast::load {

using namespace engine;

link::link(const std::shared_ptr<const tls_context>& tls, std::string_view host) {
  if (!tls) return;
  session_ = std::make_unique<tls_session>(tls, host);
  session_->start(pending_.buffer());
}

link::~link() = default;

bool link::write(std::span<const std::byte> bytes) {
  if (session_) return session_->write(bytes, scratch(), pending_.buffer());
  pending_.append(bytes);
  return true;
}

void link::close_notify() {
  if (session_) session_->close_notify(pending_.buffer());
}

tls_scratch& link::scratch() {
  static thread_local const auto own = std::make_unique<tls_scratch>();
  return *own;
}

} // namespace ringcast::load
