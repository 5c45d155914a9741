// ringcast-server(1), from the declarations of the options.
#pragma once

#include <string>
#include <string_view>

namespace ringcast {

[[nodiscard]] std::string man_page(std::string_view version);

} // namespace ringcast
