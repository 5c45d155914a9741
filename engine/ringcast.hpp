// Everything that a program needs. Installed it is `#include <ringcast/ringcast.hpp>`, or a single header, <ringcast/engine/client/client.hpp>.
#pragma once

#include "engine/base/log.hpp"
#include "engine/client/client.hpp"
#include "engine/client/coroutine_client.hpp"
#include "engine/coroutine/mutex.hpp"
#include "engine/coroutine/scheduler.hpp"
#include "engine/coroutine/semaphore.hpp"
#include "engine/coroutine/sleep.hpp"
#include "engine/mesh/shared_frame.hpp"
#include "engine/server/request.hpp"
#include "engine/server/room_handle.hpp"
#include "engine/server/sender.hpp"
#include "engine/server/server.hpp"
#include "engine/server/websocket.hpp"
