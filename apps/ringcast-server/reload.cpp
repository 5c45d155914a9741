#include "apps/ringcast-server/reload.hpp"

#include <fmt/format.h>

namespace ringcast {

namespace {

void copy_value(const option& o, settings& to, const settings& from) {
  if (const auto* number = std::get_if<number_rules>(&o.rules)) return number->set(to, number->get(from));
  if (const auto* choice = std::get_if<choice_rules>(&o.rules)) return choice->set(to, choice->get(from));
  if (const auto* text = std::get_if<text_rules>(&o.rules)) return text->set(to, text->get(from));
  const auto& list = std::get<list_rules>(o.rules);
  list.set(to, list.get(from));
}

} // namespace

option_changes take_changes(settings& running, const settings& wanted) {
  option_changes changes;
  for (const option& o : all_options()) {
    const std::string value = o.text_of(wanted);
    if (o.text_of(running) == value) continue;
    const std::string change = fmt::format("{} = {}", o.key(), value.empty() ? "nothing" : value);
    if (o.when == may_change::at_start) {
      changes.refused.push_back(change);
      continue;
    }
    copy_value(o, running, wanted);
    changes.taken.push_back(change);
  }
  return changes;
}

} // namespace ringcast
