// Every option, and what may stand on the command line beside them. Each is declared once, in its group's options_*.cpp: name, what it means, why its
// default is what it is, and its rules.
#include "apps/ringcast-server/option_makers.hpp"

namespace ringcast {

std::span<const option> all_options() {
  static const std::vector<option> all = [] {
    std::vector<option> every;
    for (const auto group : {declared::ways_in, declared::application, declared::rooms_and_memory, declared::cluster, declared::limits,
                             declared::times, declared::logging})
      for (option& each : group()) every.push_back(std::move(each));
    return every;
  }();
  return all;
}

std::span<const command_word> all_command_words() {
  static constexpr command_word all[] = {
      {.name = "config", .takes = "FILE", .means = "reads options from this file, in TOML; the environment and the command line win over it"},
      {.name = "check-config",
       .takes = "FILE",
       .means = "says what is wrong with a file and where, and ends with 1; with 0 if nothing is. Where the environment and the command line say "
                "more, they "
                "are looked at with it"},
      {.name = "print-config", .takes = "", .means = "prints a file with every option, its default and its reason, as a beginning"},
      {.name = "print-options", .takes = "", .means = "prints this table in Markdown"},
      {.name = "print-man", .takes = "", .means = "prints the manual page, ringcast-server(1)"},
      {.name = "version", .takes = "", .means = "prints the version"},
      {.name = "help", .takes = "", .means = "prints the options"},
  };
  return all;
}

} // namespace ringcast
