#include "apps/ringcast-server/command_line.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <string_view>

namespace ringcast {

namespace {

std::unexpected<std::string> wrong(std::string sentence) { return std::unexpected(std::move(sentence)); }

const option* option_of(std::string_view name) {
  const auto found = std::ranges::find(all_options(), name, &option::name);
  return found == all_options().end() ? nullptr : &*found;
}

const command_word* word_of(std::string_view name) {
  const auto found = std::ranges::find(all_command_words(), name, &command_word::name);
  return found == all_command_words().end() ? nullptr : &*found;
}

std::vector<std::string> all_flags() {
  std::vector<std::string> names;
  for (const option& o : all_options()) names.push_back(fmt::format("--{}", o.name));
  for (const command_word& word : all_command_words()) names.push_back(fmt::format("--{}", word.name));
  return names;
}

// The arguments, one after the other.
class reader {
 public:
  explicit reader(std::span<const std::string> arguments) : left_(arguments) {}

  std::expected<command_line, std::string> read() {
    while (!left_.empty()) {
      std::string_view flag = next();
      if (flag == "-h") flag = "--help";
      if (!flag.starts_with("--")) return wrong(fmt::format("'{}' is no option: each begins with --", flag));
      const std::size_t equals = flag.find('=');
      behind_ = equals == std::string_view::npos ? std::nullopt : std::optional{flag.substr(equals + 1)};
      flag = flag.substr(0, equals);
      std::expected<void, std::string> taken;
      if (const option* o = option_of(flag.substr(2)))
        taken = take(*o, flag);
      else if (const command_word* word = word_of(flag.substr(2)))
        taken = take(*word, flag);
      else
        return wrong(fmt::format("{} is not known{}", flag, nearest(flag, all_flags())));
      if (!taken) return wrong(taken.error());
    }
    return std::move(all_);
  }

 private:
  std::string_view next() {
    const std::string_view first = left_.front();
    left_ = left_.subspan(1);
    return first;
  }

  std::expected<std::string, std::string> value(std::string_view flag, std::string_view takes) {
    if (behind_) return std::string{*behind_};
    if (left_.empty() || left_.front().starts_with("--")) return wrong(fmt::format("{} needs a value: {} {}", flag, flag, takes));
    return std::string{next()};
  }

  std::expected<void, std::string> take(const option& o, std::string_view flag) {
    auto first = value(flag, o.takes());
    if (!first) return wrong(first.error());
    auto known = std::ranges::find(all_.options, &o, &given_option::what);
    if (known == all_.options.end()) known = all_.options.insert(known, {.what = &o, .where = std::string{flag}, .values = {}});
    known->values.push_back(std::move(*first));
    // Several values may stand behind one name.
    while (o.is_list() && !behind_ && !left_.empty() && !left_.front().starts_with('-')) known->values.emplace_back(next());
    return {};
  }

  std::expected<void, std::string> take(const command_word& word, std::string_view flag) {
    std::string given;
    if (!word.takes.empty()) {
      auto first = value(flag, word.takes);
      if (!first) return wrong(first.error());
      given = std::move(*first);
    } else if (behind_) {
      return wrong(fmt::format("{} takes no value, and '{}' is given", flag, *behind_));
    }
    if (!all_.words.emplace(word.name, given).second && !word.takes.empty()) return wrong(fmt::format("{} is given twice", flag));
    return {};
  }

  std::span<const std::string> left_;
  std::optional<std::string_view> behind_; // the value in --name=value
  command_line all_;
};

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts;
  for (std::size_t from = 0, end = 0; end != std::string_view::npos; from = end + 1) {
    end = text.find(',', from);
    parts.emplace_back(text.substr(from, end == std::string_view::npos ? end : end - from));
  }
  return parts;
}

// What no option says alone.
std::expected<void, std::string> complete(settings& all, bool has_listen) {
  if (all.certificate_files.size() != all.key_files.size()) return wrong("--tls-cert and --tls-key come in pairs");
  if (all.server.listen_tls.empty() != all.certificate_files.empty()) return wrong("--listen-tls, --tls-cert and --tls-key are given together");
  for (std::size_t i = 0; i < all.certificate_files.size(); ++i)
    all.server.tls.certificates.push_back({.chain_file = all.certificate_files[i], .key_file = all.key_files[i], .host_names = {}});
  if (!all.server.listen_tls.empty() && !has_listen) all.server.listen.clear();
  if (!all.tokens.audience.empty() && !all.tokens.is_on()) return wrong("--jwt-audience is given with --jwt-hs256-key-file or --jwt-jwks-file");
  if (all.tokens.user_by != certificate_user::off) {
    if (all.application.is_asked()) return wrong("--authorize-url says who somebody is: --tls-client-user does not go with it");
    if (all.server.tls.client_ca_file.empty()) return wrong("--tls-client-user is given with --tls-client-ca");
    // A session that is resumed shows no certificate again.
    all.server.tls.session_tickets = false;
  }
  if (all.tokens.is_on() && all.application.is_asked()) return wrong("--authorize-url stands in place of --jwt-hs256-key-file and --jwt-jwks-file");
  if (all.application.webhook_url.empty() != all.application.webhook_key_file.empty())
    return wrong("--webhook-url and --webhook-key-file are given together");
  all.application.webhook_end_ms = all.server.limits.close_timeout_ms;
  // Where those who run the server reach it as soon as others are kept out.
  if ((all.tokens.is_on() || all.application.is_asked()) && all.server.listen_admin.empty()) all.server.listen_admin = {"127.0.0.1:8081"};
  return {};
}

} // namespace

std::expected<command_line, std::string> read_command_line(std::span<const std::string> arguments) { return reader{arguments}.read(); }

environment_options read_environment(const char* const* environment) {
  constexpr std::string_view prefix = "RINGCAST_";
  std::vector<std::string> names;
  for (const option& o : all_options()) names.push_back(o.variable());
  environment_options all;
  for (; *environment != nullptr; ++environment) {
    const std::string_view line = *environment;
    if (!line.starts_with(prefix) || line.find('=') == std::string_view::npos) continue;
    const std::string_view name = line.substr(0, line.find('=')), value = line.substr(name.size() + 1);
    const auto found = std::ranges::find(names, name);
    if (found == names.end()) {
      if (const std::string right = nearest(name, names); !right.empty())
        all.remarks.push_back(fmt::format("{} in the environment is no option and is ignored{}", name, right));
      continue;
    }
    if (value.empty()) continue; // as somebody who takes a value away writes it
    const option& o = all_options()[static_cast<std::size_t>(found - names.begin())];
    all.options.push_back({.what = &o, .where = *found, .values = o.is_list() ? split(value) : std::vector{std::string{value}}});
  }
  return all;
}

std::expected<settings, std::string> settings_of(std::span<const given_option> given) {
  settings all;
  for (const given_option& each : given)
    if (const auto set = each.what->set(all, each.values); !set) return wrong(fmt::format("{}: {}", each.where, set.error()));
  const bool has_listen = std::ranges::any_of(given, [](const given_option& each) { return each.what->name == "listen"; });
  if (const auto completed = complete(all, has_listen); !completed) return wrong(completed.error());
  return all;
}

} // namespace ringcast
