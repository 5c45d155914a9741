#include "apps/ringcast-server/idempotency.hpp"

#include <functional>
#include <utility>

namespace ringcast {

// Neither may contain a control character.
std::string idempotent_answers::name_of(std::string_view scope, std::string_view key) { return std::string{scope}.append(1, '\0').append(key); }

idempotent_answers::found idempotent_answers::begin(std::string_view scope, std::string_view key, std::string_view request, clock::time_point now) {
  const std::size_t hash = std::hash<std::string_view>{}(request);
  const std::lock_guard lock{mutex_};
  expire(now);
  std::string name = name_of(scope, key);
  if (const auto found = entries_.find(name); found != entries_.end()) {
    if (std::exchange(found->second.given_up, false)) {
      found->second.request = hash;
      return {verdict::first};
    }
    if (found->second.request != hash) return {verdict::other};
    return found->second.answered ? idempotent_answers::found{verdict::again, found->second.answer} : idempotent_answers::found{verdict::under_way};
  }
  if (entries_.size() == answers_max) return {verdict::full};
  ends_.emplace_back(now + kept_for, name);
  entries_.emplace(std::move(name), entry{.request = hash});
  return {verdict::first};
}

void idempotent_answers::keep(std::string_view scope, std::string_view key, std::string answer) {
  const std::lock_guard lock{mutex_};
  const auto found = entries_.find(name_of(scope, key));
  if (found == entries_.end()) return; // it took longer than it is kept
  found->second.answered = true;
  found->second.answer = std::move(answer);
}

void idempotent_answers::give_up(std::string_view scope, std::string_view key) {
  const std::lock_guard lock{mutex_};
  if (const auto found = entries_.find(name_of(scope, key)); found != entries_.end()) found->second.given_up = true;
}

void idempotent_answers::expire(clock::time_point now) {
  while (!ends_.empty() && ends_.front().first <= now) {
    entries_.erase(ends_.front().second);
    ends_.pop_front();
  }
}

} // namespace ringcast
