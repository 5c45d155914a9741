// Bun's own WebSocket server with the endpoints of ringcast-server: WS /echo and WS /broadcast/{room}, ?self=0.
// Topics are Bun's documented way to broadcast: server.publish() reaches every subscriber, ws.publish() all but the sender.
// server.js PORT [--tls CERTIFICATE KEY] [--deflate]
const [word, ...options] = process.argv.slice(2);
const port = Number(word);
const deflate = options.includes("--deflate");
const secure = options.indexOf("--tls");

const server = Bun.serve({
  hostname: "127.0.0.1",
  port,
  tls: secure < 0 ? undefined : { cert: Bun.file(options[secure + 1]), key: Bun.file(options[secure + 2]) },
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
    perMessageDeflate: deflate,
    idleTimeout: 0, // No timeout: an idle connection stays.
    maxPayloadLength: 16 * 1024 * 1024,
    backpressureLimit: 1024 * 1024 * 1024, // Nothing may be dropped: every delivery is counted.
    open(ws) {
      if (ws.data.room !== null) ws.subscribe(ws.data.room);
    },
    message(ws, message) {
      if (ws.data.room === null) ws.send(message, deflate); // The second argument asks for compression.
      else if (ws.data.self) server.publish(ws.data.room, message, deflate);
      else ws.publish(ws.data.room, message, deflate);
    },
  },
});

console.log(`bun ${Bun.version} on 127.0.0.1:${server.port}`);
