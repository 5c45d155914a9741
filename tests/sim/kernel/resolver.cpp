// The engine's resolver over the simulated kernel: engine/io/resolver.cpp asks the system on threads of its own, this one
// asks the kernel's table of names. A program that links this file does not link the engine's.
#include "engine/io/resolver.hpp"

#include "tests/sim/kernel/kernel.hpp"

namespace ringcast {

using namespace engine;

void engine::resolve(std::string host, std::uint16_t port, std::function<void(const resolved_name&)> on_answer) {
  sim::kernel::current()->look_up(host, [host, port, on_answer = std::move(on_answer)](const std::vector<std::string>& addresses) {
    resolved_name answer;
    for (const std::string& address : addresses) answer.addresses.push_back(numeric_address(address, port).value());
    if (addresses.empty()) answer.error = "no address for '" + host + "'";
    on_answer(answer);
  });
}

} // namespace ringcast
