#include "tests/sim/rigs/memory_cluster.hpp"

#include "engine/cluster/batch.hpp"

#include <algorithm>

namespace ringcast::sim {

using namespace engine;

// --- the engine ---

std::unique_ptr<cluster_engine> memory_cluster::connect() { return std::make_unique<memory_link>(*this); }

memory_cluster::room& memory_cluster::room_of(const std::string& name) {
  room& r = rooms_[name];
  if (r.epoch == 0) r.epoch = draw_.next() | 1;
  return r;
}

room_position memory_cluster::append(const std::string& name, std::uint32_t messages, const std::vector<std::byte>& bytes) {
  room& r = room_of(name);
  const kept_batch& made = r.kept.emplace_back(kept_batch{r.sequence + 1, messages, bytes});
  const auto view = batch_view::read(made.bytes, messages);
  for (const batch_message& m : view.value().messages)
    r.said[{r.epoch, ++r.sequence}] = std::string{reinterpret_cast<const char*>(m.payload.data()), m.payload.size()};
  for (memory_link* const link : links_)
    if (link->subscribed_.contains(name))
      link->answer(memory_link::connection::subscriptions,
                   [link, name, epoch = r.epoch, made] { link->listener_->on_batch(name, epoch, {made.first, made.messages, made.bytes}); });
  return {r.epoch, made.first};
}

void memory_cluster::step() {
  for (memory_link* const link : links_) {
    link->arrive(link->commands_);
    link->arrive(link->subscriptions_);
  }
}

void memory_cluster::cut_one() { links_[draw_.below(links_.size())]->cut(draw_.below(30'000'000)); }

void memory_cluster::cut_all(std::uint64_t away_ns) {
  for (memory_link* const link : links_) link->cut(away_ns + draw_.below(5'000'000));
}

void memory_cluster::drop_a_subscription() {
  memory_link& link = *links_[draw_.below(links_.size())];
  if (link.subscribed_.empty()) return;
  ++counts_.subscriptions_dropped;
  link.subscribed_.erase(link.subscribed_.begin());
}

void memory_cluster::forget_all_but(std::size_t batches) {
  for (auto& [name, r] : rooms_)
    while (r.kept.size() > batches) r.kept.pop_front();
}

void memory_cluster::lose_all() {
  ++counts_.epochs;
  for (auto& [name, r] : rooms_) {
    r.kept.clear();
    r.epoch = draw_.next() | 1;
    r.sequence = r.base = 0;
  }
}

void memory_cluster::lose_newest() {
  ++counts_.epochs;
  for (auto& [name, r] : rooms_) {
    for (std::uint64_t lost = draw_.below(4); lost > 0 && !r.kept.empty(); --lost) {
      r.sequence = r.kept.back().first - 1;
      r.kept.pop_back();
    }
    r.epoch = draw_.next() | 1;
    r.base = r.sequence;
  }
  cut_all(draw_.below(20'000'000));
}

// --- the way there ---

memory_link::memory_link(memory_cluster& to) : to_(to) {
  to.links_.push_back(this);
  up_at_ns_ = to.world_.now_ns() + to.draw_.below(10'000'000);
}

memory_link::~memory_link() { std::erase(to_.links_, this); }

void memory_link::put(way& on, std::function<void()> arrive) {
  const bool slow = to_.draw_.below(20) == 0;
  const std::uint64_t due = to_.world_.now_ns() + to_.draw_.below(slow ? 20'000'000 : 300'000);
  on.push_back({on.empty() ? due : std::max(due, on.back().due_ns), std::move(arrive)});
}

void memory_link::arrive(way& on) {
  while (!on.empty() && on.front().due_ns <= to_.world_.now_ns()) {
    const std::function<void()> call = std::move(on.front().arrive);
    on.pop_front();
    call();
  }
}

// Of what was asked the engine has read some, and what it would have answered goes nowhere.
void memory_link::cut(std::uint64_t away_ns) {
  if (!up_) return;
  ++to_.counts_.cuts;
  up_ = false;
  cut_untold_ = true;
  up_at_ns_ = to_.world_.now_ns() + away_ns;
  for (std::uint64_t read = to_.draw_.below(commands_.size() + 1); read > 0; --read) {
    ++to_.counts_.replies_lost;
    const std::function<void()> call = std::move(commands_.front().arrive);
    commands_.pop_front();
    call();
  }
  subscribed_.clear();
  for (way* const w : {&commands_, &subscriptions_, &answers_, &pushes_}) w->clear();
}

void memory_link::poll() {
  if (std::exchange(cut_untold_, false)) listener_->on_down("it was cut");
  if (!up_ && up_at_ns_ <= to_.world_.now_ns()) {
    up_ = true;
    listener_->on_up();
  }
  arrive(answers_);
  arrive(pushes_);
}

bool memory_link::has_work() const {
  const auto is_due = [&](const way& w) { return !w.empty() && w.front().due_ns <= to_.world_.now_ns(); };
  return cut_untold_ || is_due(answers_) || is_due(pushes_);
}

void memory_link::subscribe(std::string_view room) {
  ask(connection::subscriptions, [this, name = std::string{room}] {
    subscribed_.insert(name);
    answer(connection::subscriptions, [this, name] { listener_->on_subscribed(name); });
  });
}

void memory_link::unsubscribe(std::string_view room) {
  ask(connection::subscriptions, [this, name = std::string{room}] { subscribed_.erase(name); });
}

void memory_link::ask_top(std::string_view room) {
  ask(connection::commands, [this, name = std::string{room}] {
    const memory_cluster::room& r = to_.room_of(name);
    answer(connection::commands, [this, name, top = cluster_top{r.epoch, r.sequence, r.base}] { listener_->on_top(name, top); });
  });
}

void memory_link::read(std::string_view room, std::uint64_t from) {
  ask(connection::commands, [this, name = std::string{room}, from] {
    constexpr std::size_t page = 3;
    const memory_cluster::room& r = to_.room_of(name);
    std::vector<memory_cluster::kept_batch> found;
    for (const memory_cluster::kept_batch& b : r.kept)
      if (b.first + b.messages > from && found.size() <= page) found.push_back(b);
    const bool more = found.size() > page;
    if (more) found.pop_back();
    answer(connection::commands, [this, name, from, epoch = r.epoch, found = std::move(found), more] {
      std::vector<cluster_batch> batches;
      for (const memory_cluster::kept_batch& b : found) batches.push_back({b.first, b.messages, b.bytes});
      listener_->on_range(name, from, epoch, batches, more);
    });
  });
}

void memory_link::publish(std::string_view room, std::uint64_t id, std::uint32_t messages, std::span<const std::byte> batch) {
  ask(connection::commands, [this, name = std::string{room}, id, messages, bytes = std::vector<std::byte>{batch.begin(), batch.end()}] {
    const room_position first = to_.append(name, messages, bytes);
    answer(connection::commands, [this, id, first] { listener_->on_published(id, first); });
  });
}

} // namespace ringcast::sim
