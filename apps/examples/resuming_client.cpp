// Hears a room of ringcast-server through cut connections and restarts of this program, and misses nothing that the server keeps.
// usage: resuming_client URL FILE, as in ws://127.0.0.1:8080/broadcast/lobby; FILE holds the position
#include <ringcast/client.hpp>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>

using namespace ringcast;

// Whole or not at all, whenever the program ends.
static void keep(const std::string& file, const room_position& position) {
  std::ofstream{file + ".new"} << text_of(position) << '\n';
  std::filesystem::rename(file + ".new", file);
}

int main(int argc, char** argv) {
  const std::string file = argc > 2 ? argv[2] : "position";
  std::string text;
  std::getline(std::ifstream{file}, text);
  client c{argc > 1 ? argv[1] : "ws://127.0.0.1:8080/broadcast/lobby", {.resume = true, .resume_from = parse_position(text)}};
  c.on_resumed([](const room_position&, const room_position&) { std::fprintf(stderr, "nothing is missing\n"); });
  c.on_gap(
      [](const room_position& heard, const room_position&) { std::fprintf(stderr, "something may be missing behind %s\n", text_of(heard).c_str()); });
  c.on_message([&](const message_view& m) {
    std::printf("%.*s\n", static_cast<int>(m.text().size()), m.text().data());
    std::fflush(stdout);
    keep(file, *c.position()); // behind the work: ended between both, a next run does this message once more, and none is left out
  });
  c.on_open([] { std::fprintf(stderr, "connected\n"); });
  c.on_reconnected([] { std::fprintf(stderr, "connected again\n"); });
  c.start();
  while (std::getline(std::cin, text)) (void)c.send_text(text);
}
