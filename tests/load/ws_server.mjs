// An echo server of npm's ws with permessage-deflate as its documentation sets it up, without a threshold. Prints its port.
import { createRequire } from "node:module";
const { WebSocketServer } = createRequire(process.argv[2] + "/")("ws");

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: { threshold: 0 } }, () => console.log(server.address().port));
server.on("connection", (socket) => {
  socket.on("message", (message, isBinary) => socket.send(message, { binary: isBinary }));
  socket.on("error", () => {});
});
