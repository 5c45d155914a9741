// How far the end of a shard has come. Only `stopper` writes it, and of a drain `drainer`; everybody else looks.
#pragma once

namespace ringcast::engine {

struct stop_state {
  bool is_door_closed = false; // nobody is accepted any more; requests of those who are there end their connections
  bool is_stopping = false;
  bool is_over = false; // nobody is waited for any longer
  // Whether what is published here now is still sent to anybody: until this shard has told the others that it has said all.
  bool takes_publications = true;
};

} // namespace ringcast::engine
