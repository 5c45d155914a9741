// What only a table [[room]] has, beside options of the server.
#include "apps/ringcast-server/option_makers.hpp"
#include "apps/ringcast-server/room_rights.hpp"

namespace ringcast {

std::span<const option> all_room_options() {
  using namespace declared;
  static const std::vector<option> all{
      {.name = "max-members",
       .means = "members (connections) over all shards; the next one is answered 503; 0 is no bound",
       .reason = "as many as come",
       .rules = number([](auto& s) -> auto& { return s.room.members_max; }, {.least = 0, .most = connections_most})},
      {.name = "presence",
       .means = "whether members hear of its users, and `GET /rooms/{room}` tells them",
       .reason = "who wants to hear of them says so",
       .rules = choice([](auto& s) -> auto& { return s.room.presence; }, {"off", "on"})},
      {.name = "max-room-messages-per-s",
       .means =
           "messages a second by all who publish there; one too many is not published: `POST` is answered 429 with `Retry-After`, and a member is "
           "told `{\"dropped\":N}` at most once a second; 0 is no limit",
       .reason = "what a server can deliver depends on its members",
       .rules = number([](auto& s) -> auto& { return s.room.messages.per_s; }, {.least = 0, .most = rate_most})},
      {.name = "burst-room-messages",
       .means = "so many may come at once; `auto` is what may come in a second",
       .reason = "people talk in bursts",
       .rules = number([](auto& s) -> auto& { return s.room.messages.burst; }, {.least = 1, .most = rate_most, .word = "auto"})},
      {.name = "join",
       .means =
           "who may join and read it: `anyone`, also without a token; `token`, who has one, whatever rooms it names; `claims`, whose token names the "
           "room; `user:PATTERN`, whose token is of such a user; `nobody`. Several are one or the other",
       .reason = "as tokens say, and where there are none everybody",
       .rules = list([](auto& s) -> auto& { return s.room.join; }, "WHO", check_who_may)},
      {.name = "publish",
       .means = "the same for who may say something there; who may not is closed with 1008, and answered 403. The admin address may",
       .reason = "the same",
       .rules = list([](auto& s) -> auto& { return s.room.publish; }, "WHO", check_who_may)},
  };
  return all;
}

} // namespace ringcast
