#include "apps/load/output.hpp"

#include <cerrno>
#include <sys/socket.h>

namespace ringcast::load {

send_status output::send(int fd) {
  while (sent_ < bytes_.size()) {
    const ssize_t taken = ::send(fd, bytes_.data() + sent_, bytes_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (taken < 0) return errno == EAGAIN ? send_status::blocked : send_status::failed;
    sent_ += static_cast<std::size_t>(taken);
  }
  bytes_.clear();
  sent_ = 0;
  return send_status::done;
}

} // namespace ringcast::load
