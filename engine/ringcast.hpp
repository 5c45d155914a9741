// Everything that a program needs. Installed it is `#include <ringcast/ringcast.hpp>`, or a single header, <ringcast/engine/client.hpp>.
#pragma once

#include "engine/client.hpp"
#include "engine/coroutine_client.hpp"
#include "engine/log.hpp"
#include "engine/mutex.hpp"
#include "engine/request.hpp"
#include "engine/room_handle.hpp"
#include "engine/scheduler.hpp"
#include "engine/semaphore.hpp"
#include "engine/sender.hpp"
#include "engine/server.hpp"
#include "engine/shared_frame.hpp"
#include "engine/sleep.hpp"
#include "engine/websocket.hpp"
