#include "apps/ringcast-server/strict_json.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace ringcast {

std::optional<nlohmann::json> parse_json_object(std::string_view text) {
  std::vector<std::vector<std::string>> open; // the members of each object that is not closed yet
  bool is_strict = true;
  const auto watch = [&](int depth, nlohmann::json::parse_event_t event, const nlohmann::json& parsed) {
    using enum nlohmann::json::parse_event_t;
    if (depth > json_depth_max) is_strict = false;
    if (!is_strict) return false; // all that follows belongs to what is left out
    if (event == object_start) open.emplace_back();
    if (event == object_end) open.pop_back();
    if (event != key) return is_strict;
    const auto& name = parsed.get_ref<const std::string&>();
    if (std::ranges::find(open.back(), name) != open.back().end()) is_strict = false;
    open.back().push_back(name);
    return is_strict;
  };
  nlohmann::json whole = nlohmann::json::parse(text, watch, false);
  if (!is_strict || !whole.is_object()) return std::nullopt; // what is no JSON is `discarded`
  return whole;
}

} // namespace ringcast
