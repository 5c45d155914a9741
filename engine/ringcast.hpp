// Everything that a program needs: `#include <ringcast/engine/ringcast.hpp>`, or the single headers.
#pragma once

#include "engine/client.hpp"
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
