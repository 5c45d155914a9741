#include "tests/compression/deflating_client.hpp"

#include "tests/deflate/contents.hpp"

#include <algorithm>

namespace ringcast {

namespace {

std::string to_string(const test::bytes& bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

int number_behind(std::string_view text, std::string_view name, int otherwise) {
  const auto at = text.find(std::string{name} + "=");
  return at == std::string_view::npos ? otherwise : std::stoi(std::string{text.substr(at + name.size() + 1)});
}

} // namespace

deflating_client::deflating_client(const std::string& address, std::string_view target, std::string_view offer) : wire_(address) {
  const std::string field = offer.empty() ? std::string{} : "Sec-WebSocket-Extensions: " + std::string{offer} + "\r\n";
  const std::string answer = wire_.upgrade(target, field);
  if (!answer.starts_with("HTTP/1.1 101")) throw std::runtime_error("no upgrade: " + answer);
  constexpr std::string_view name = "Sec-WebSocket-Extensions: ";
  const auto at = answer.find(name);
  if (at != std::string::npos) {
    agreed_.accepted = true;
    agreed_.text = answer.substr(at + name.size(), answer.find("\r\n", at) - at - name.size());
    agreed_.server_forgets = agreed_.text.find("server_no_context_takeover") != std::string::npos;
    agreed_.client_forgets = agreed_.text.find("client_no_context_takeover") != std::string::npos;
    agreed_.server_bits = number_behind(agreed_.text, "server_max_window_bits", 15);
    agreed_.client_bits = number_behind(agreed_.text, "client_max_window_bits", 15);
  }
  deflater_ = std::make_unique<test::zlib_deflater>(agreed_.client_bits);
  inflater_ = std::make_unique<test::zlib_inflater>(agreed_.server_bits);
}

std::string deflating_client::deflated(std::string_view message) {
  if (message.empty()) return std::string(1, '\0'); // 7.2.3.6; zlib flushes nothing twice
  std::string payload = to_string(deflater_->message(std::as_bytes(std::span{message})));
  if (agreed_.client_forgets) deflater_->reset();
  return payload;
}

std::string compressed_frame(opcode op, std::string_view payload, bool fin) {
  std::string frame = masked_frame(op, payload, fin);
  frame[0] = static_cast<char>(frame[0] | 0x40);
  return frame;
}

void deflating_client::send_payload(opcode op, std::string_view payload, bool fin) { wire_.send_bytes(compressed_frame(op, payload, fin)); }

void deflating_client::send(opcode op, std::string_view message, std::size_t fragments) {
  if (!agreed_.accepted) return send_plain(op, message);
  const std::string payload = deflated(message);
  const std::size_t step = std::max<std::size_t>((payload.size() + fragments - 1) / fragments, 1);
  std::string bytes;
  for (std::size_t at = 0; at < payload.size(); at += step) {
    const std::string_view piece = std::string_view{payload}.substr(at, step);
    const bool fin = at + step >= payload.size();
    bytes += at == 0 ? compressed_frame(op, piece, fin) : masked_frame(opcode::continuation, piece, fin);
  }
  wire_.send_bytes(bytes);
}

deflating_client::received deflating_client::receive(int timeout_ms) {
  while (auto frame = wire_.receive(timeout_ms)) {
    received got{.op = frame->op, .compressed = frame->compressed, .wire_bytes = frame->payload.size(), .text = {}};
    if (frame->op == opcode::close) {
      got.text = "<close " + std::to_string(frame->code()) + ">";
      return got;
    }
    if (is_control(frame->op)) continue;
    if (!frame->compressed) {
      got.text = std::move(frame->payload);
      return got;
    }
    // Narrow, so that a reference out of the agreed window is found.
    const auto message = inflater_->message(std::as_bytes(std::span{frame->payload}), agreed_.server_bits < 15);
    if (agreed_.server_forgets) inflater_->reset();
    got.text = message ? to_string(*message) : "<broken>";
    return got;
  }
  return {.op = opcode::close, .compressed = false, .wire_bytes = 0, .text = "<end>"};
}

std::string json_text(std::size_t bytes, unsigned seed) { return to_string(test::json(bytes, seed)); }
std::string noise_bytes(std::size_t bytes, unsigned seed) { return to_string(test::noise(bytes, seed)); }

} // namespace ringcast
