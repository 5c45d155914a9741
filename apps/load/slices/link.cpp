#include "apps/load/slices/link.hpp"

#include <cerrno>
#include <sys/socket.h>

namespace ringcast::load::slices {

link::link(const std::shared_ptr<const tls_context>& tls) {
  if (!tls) return;
  session_ = std::make_unique<tls_session>(tls, "localhost");
  session_->start(pending_);
}

bool link::broken() const {
  return session_ && session_->state() != tls_state::open && session_->state() != tls_state::handshaking;
}

void link::write(std::span<const std::byte> bytes) {
  if (session_) {
    session_->write(bytes, scratch(), pending_);
  } else {
    pending_.append(bytes);
  }
}

send_result link::send(int fd) {
  while (sent_ < pending_.size()) {
    ssize_t taken = ::send(fd, pending_.data() + sent_, pending_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (taken < 0) return errno == EAGAIN ? send_result::blocked : send_result::failed;
    sent_ += static_cast<std::size_t>(taken);
  }
  pending_.clear();
  sent_ = 0;
  return send_result::done;
}

void link::close_notify() {
  if (session_) session_->close_notify(pending_);
}

tls_scratch& link::scratch() {
  static const auto only = std::make_unique<tls_scratch>();
  return *only;
}

std::shared_ptr<const tls_context> unquestioning_tls() {
  return tls_context::load_client({.verification = tls_verification::off_and_insecure}).value_or(nullptr);
}

} // namespace ringcast::load::slices
