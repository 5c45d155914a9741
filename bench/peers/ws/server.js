// npm ws with the endpoints of ringcast-server: WS /echo and WS /broadcast/{room}, ?self=0. Its documented broadcast is a
// loop over the clients. Compression is off unless it is asked for with --deflate, then with the defaults of ws; no UTF-8 is checked in
// binary messages.
const { createServer } = require("http");
const { WebSocketServer } = require("ws");

const rooms = new Map();

function join(name, socket, hearsItself) {
  let room = rooms.get(name);
  if (!room) rooms.set(name, (room = new Set()));
  room.add(socket);
  socket.on("message", (message, binary) => {
    for (const member of room) {
      if (member !== socket || hearsItself) member.send(message, { binary });
    }
  });
  socket.on("close", () => {
    room.delete(socket);
    if (room.size === 0) rooms.delete(name);
  });
}

const upgrader = new WebSocketServer({ noServer: true, perMessageDeflate: process.argv.includes("--deflate") });
const server = createServer((request, response) => {
  response.writeHead(400, { "Content-Type": "application/json" });
  response.end(JSON.stringify({ error: "this endpoint speaks WebSocket" }));
});
server.on("upgrade", (request, stream, head) => {
  upgrader.handleUpgrade(request, stream, head, (socket) => {
    socket.on("error", () => {});
    const url = new URL(request.url, "http://127.0.0.1");
    if (url.pathname === "/echo") {
      socket.on("message", (message, binary) => socket.send(message, { binary }));
    } else if (url.pathname.startsWith("/broadcast/")) {
      join(url.pathname.slice("/broadcast/".length), socket, url.searchParams.get("self") !== "0");
    } else {
      socket.close(1008);
    }
  });
});
server.listen({ host: "127.0.0.1", port: Number(process.argv[2]), backlog: 4096 });
