// The modes in which connections themselves are the load.
//
//   connect          each place opens a connection, closes it properly, and opens the next; at a rate, or as fast as
//                    they go.
//   idle             all are opened and left alone.
//   reconnect-storm  all are opened; then all vanish at once and come back as fast as the server lets them. A step is
//                    one storm. With --ended-by-server they are held, and each that the server ends comes back at once.
#pragma once

#include "apps/load/run/worker.hpp"

#include <vector>

namespace ringcast::load {

using namespace engine;

class churn final : public worker {
 public:
  churn(const load_options& options, board& shared, unsigned index);

 private:
  bool open() override;
  void run(const load_step& step) override;
  [[nodiscard]] load_result result() const override;
  [[nodiscard]] live_counts counts() const override;
  [[nodiscard]] const histogram* live_latency() const override { return measuring_ ? &handshakes_ : nullptr; }

  void connect_again_and_again(const load_step& step);
  void stay_idle(const load_step& step);
  void storm(const load_step& step);
  void hold(const load_step& step);
  void begin_waiting(double allowed_in_run);

  void on_opened(unsigned i) override;
  void on_message(unsigned, std::span<const std::byte>) override { ++result_.other_messages; }
  void on_ended(unsigned i, stage was, const std::string& why) override;

  void note_return();
  [[nodiscard]] bool is_held() const { return options_.mode == load_mode::reconnect_storm && options_.ended_by_server; }

  std::vector<unsigned> waiting_; // Places without a connection.
  std::vector<unsigned> refused_; // Of those, the ones that have just been refused.
  std::int64_t held_since_ns_ = 0;
  bool measuring_ = false;
  std::uint64_t begun_ = 0; // In this step.
  std::uint64_t opened_ = 0;
  load_result result_;
};

} // namespace ringcast::load
