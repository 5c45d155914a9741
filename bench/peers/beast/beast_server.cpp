// Boost.Beast with the endpoints of ringcast-server: WS /echo and WS /broadcast/{room}, ?self=0. One io_context on one
// thread, and the pattern of Beast's own chat example: a shared message, and a queue of them for each member.
#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/version.hpp>
#include <cstdio>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using tcp = asio::ip::tcp;

namespace ringcast {
namespace {

class session;
using room_set = std::unordered_set<session*>;
std::unordered_map<std::string, room_set> rooms;

class session : public std::enable_shared_from_this<session> {
 public:
  explicit session(tcp::socket socket) : socket_{std::move(socket)} {
    socket_.next_layer().set_option(tcp::no_delay(true));
    socket_.auto_fragment(false); // A message is one frame, as from every other server here; it also costs Beast less.
  }
  ~session() {
    if (!room_) return;
    room_->erase(this);
    if (room_->empty()) rooms.erase(room_name_);
  }

  void start() {
    http::async_read(socket_.next_layer(), buffer_, request_, [self = shared_from_this()](beast::error_code error, std::size_t) {
      if (!error && websocket::is_upgrade(self->request_)) self->upgrade();
    });
  }

 private:
  void upgrade() {
    std::string target{request_.target()};
    constexpr std::string_view prefix = "/broadcast/";
    if (target.starts_with(prefix)) {
      auto query = target.find('?');
      hears_itself_ = query == std::string::npos || target.find("self=0", query) == std::string::npos;
      room_name_ = target.substr(prefix.size(), query == std::string::npos ? query : query - prefix.size());
    } else if (target != "/echo") {
      return;
    }
    socket_.read_message_max(64UL << 20);
    socket_.async_accept(request_, [self = shared_from_this()](beast::error_code error) {
      if (error) return;
      self->socket_.binary(true);
      if (!self->room_name_.empty()) {
        self->room_ = &rooms[self->room_name_];
        self->room_->insert(self.get());
      }
      self->read();
    });
  }

  void read() {
    socket_.async_read(buffer_, [self = shared_from_this()](beast::error_code error, std::size_t) {
      if (error) return;
      if (self->room_) {
        self->broadcast();
        self->read();
      } else {
        self->echo();
      }
    });
  }

  void echo() {
    socket_.binary(socket_.got_binary());
    socket_.async_write(buffer_.data(), [self = shared_from_this()](beast::error_code error, std::size_t) {
      if (error) return;
      self->buffer_.consume(self->buffer_.size());
      self->read();
    });
  }

  void broadcast() {
    auto message = std::make_shared<const std::string>(beast::buffers_to_string(buffer_.data()));
    buffer_.consume(buffer_.size());
    for (session* member : *room_) {
      if (member != this || hears_itself_) member->queue(message);
    }
  }

  void queue(std::shared_ptr<const std::string> message) {
    queue_.push_back(std::move(message));
    if (queue_.size() == 1) write();
  }

  void write() {
    socket_.async_write(asio::buffer(*queue_.front()), [self = shared_from_this()](beast::error_code error, std::size_t) {
      if (error) return;
      self->queue_.pop_front();
      if (!self->queue_.empty()) self->write();
    });
  }

  websocket::stream<tcp::socket> socket_;
  beast::flat_buffer buffer_;
  http::request<http::empty_body> request_;
  std::string room_name_;
  room_set* room_ = nullptr; // Stays where it is while the room has a member: the map's nodes do not move.
  bool hears_itself_ = true;
  std::deque<std::shared_ptr<const std::string>> queue_;
};

void accept_next(tcp::acceptor& acceptor) {
  acceptor.async_accept([&acceptor](beast::error_code error, tcp::socket socket) {
    if (!error) std::make_shared<session>(std::move(socket))->start();
    accept_next(acceptor);
  });
}

} // namespace
} // namespace ringcast

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  if (std::strcmp(argv[1], "--version") == 0) {
    std::printf("Boost.Beast of Boost %d.%d\n", BOOST_VERSION / 100000, BOOST_VERSION / 100 % 1000);
    return 0;
  }
  asio::io_context context{1};
  tcp::acceptor acceptor{context, {asio::ip::make_address("127.0.0.1"), static_cast<unsigned short>(std::stoi(argv[1]))}};
  acceptor.listen(4096);
  asio::signal_set signals{context, SIGINT, SIGTERM};
  signals.async_wait([](beast::error_code, int) { std::_Exit(0); });
  ringcast::accept_next(acceptor);
  context.run();
}
