// The modes in which connections themselves are the load.
//
//   connect          each place opens a connection, closes it properly, and opens the next; at a rate, or as fast as
//   they go. idle             all are opened and left alone. reconnect-storm  all are opened; then all vanish at once
//   and come back as fast as the server lets them, again and again.
#pragma once

#include "apps/ringcast-load/connection_set.hpp"
#include "apps/ringcast-load/progress.hpp"
#include "apps/ringcast-load/result.hpp"

#include <vector>

namespace ringcast {

class churn final : public connection_set {
 public:
  churn(const load_options& options, progress& shown);

  bool run();
  [[nodiscard]] load_result result() const;

 private:
  void connect_again_and_again(double seconds);
  void stay_idle(double seconds);
  void storm(double seconds);
  void begin_waiting(double allowed);

  void on_opened(unsigned i) override;
  void on_message(unsigned, std::span<const std::byte>) override { ++result_.other_messages; }
  void on_ended(unsigned i, stage was, const std::string& why) override;
  void on_turn() override;

  progress& progress_;
  std::vector<unsigned> waiting_; // Places without a connection.
  std::string_view phase_ = "opening";
  bool measuring_ = false;
  std::uint64_t begun_ = 0;
  std::uint64_t opened_ = 0;
  load_result result_;
};

} // namespace ringcast
