// Who is connected to a server, and who came: the words, and the question.
#include <ringcast/connections.hpp>

#include "engine/server/answers.hpp"
#include <ringcast/access.hpp>
#include <ringcast/server.hpp>

#include <utility>

namespace ringcast {

using namespace engine;

const char* name_of(connection_kind kind) {
  switch (kind) {
  case connection_kind::http: return "http";
  case connection_kind::websocket: return "websocket";
  case connection_kind::event_stream: return "event-stream";
  case connection_kind::ending: return "ending";
  }
  return "";
}

const char* name_of(access_event what) {
  switch (what) {
  case access_event::answered: return "answered";
  case access_event::opened: return "opened";
  case access_event::closed: return "closed";
  }
  return "";
}

task<connection_page> server::connections(connection_query query) {
  answer_awaiter<connection_page> answer;
  asking_shard().connection_list().ask(std::move(query), [state = answer.target()](const connection_page& page) { state->set(page); });
  co_return co_await answer;
}

std::future<connection_page> server::connections_future(connection_query query) {
  return ask_shard<connection_page>(*this, 0, [query = std::move(query)](shard& there, const auto& promise) {
    there.connection_list().ask(query, [promise](const connection_page& page) { promise->set_value(page); });
  });
}

void server::connections(const connection_query& query, std::function<void(const connection_page&)> on_answer, const std::source_location& where) {
  asking_shard().connection_list().ask(query, std::move(on_answer), where);
}

} // namespace ringcast
