// Bun's own WebSocket server with the endpoints of ringcast-server: WS /echo and WS /broadcast/{room}, ?self=0.
// Topics are Bun's documented way to broadcast: server.publish() reaches every subscriber, ws.publish() all but the sender.
const port = Number(process.argv[2]);

const server = Bun.serve({
  hostname: "127.0.0.1",
  port,
  fetch(request, server) {
    const url = new URL(request.url);
    if (url.pathname === "/echo") {
      if (server.upgrade(request, { data: { room: null, self: true } })) return;
    } else if (url.pathname.startsWith("/broadcast/")) {
      const room = url.pathname.slice("/broadcast/".length);
      if (server.upgrade(request, { data: { room, self: url.searchParams.get("self") !== "0" } })) return;
    }
    return new Response(JSON.stringify({ error: "this endpoint speaks WebSocket" }), { status: 400 });
  },
  websocket: {
    perMessageDeflate: false,
    idleTimeout: 0, // No timeout: an idle connection stays.
    maxPayloadLength: 16 * 1024 * 1024,
    backpressureLimit: 1024 * 1024 * 1024, // Nothing may be dropped: every delivery is counted.
    open(ws) {
      if (ws.data.room !== null) ws.subscribe(ws.data.room);
    },
    message(ws, message) {
      if (ws.data.room === null) ws.send(message);
      else if (ws.data.self) server.publish(ws.data.room, message);
      else ws.publish(ws.data.room, message);
    },
  },
});

console.log(`bun ${Bun.version} on 127.0.0.1:${server.port}`);
