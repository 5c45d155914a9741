// A server of rooms that remember, as ringcast's answer to ?seq=1 and to Accept: text/event-stream, which is wrong in the way that its path asks for:
// once, to the first member that comes back with since= or Last-Event-ID. /right is right; /skip leaves out the first message of the replay; /double
// sends it twice; /swap exchanges the first two; /renumber sends them all, the second under the number of the first; /forget says that it resumes,
// and sends the last one only; /mute says something else in place of where the room is. For event streams only: /epoch numbers the first message in
// another epoch, /binary sends it as a binary one, /chunks ends the body in what is no chunk. Prints its port.
import { createServer } from "node:http";
import { createRequire } from "node:module";
const { WebSocketServer } = createRequire(process.argv[2] + "/")("ws");

const epoch = "00000000000000ab";
const rooms = new Map(); // path -> { members, said, isWrong }

const faults = {
  "/skip": (replay) => replay.slice(1),
  "/double": (replay) => [replay[0], ...replay],
  "/swap": ([first, second, ...rest]) => [second, first, ...rest],
  "/renumber": ([first, second, ...rest]) => [first, { seq: first.seq, text: second.text }, ...rest],
  "/forget": (replay) => replay.slice(-1),
  "/epoch": ([first, ...rest]) => [{ ...first, epoch: "00000000000000ac" }, ...rest],
  "/binary": ([first, ...rest]) => [{ ...first, name: "binary" }, ...rest],
  "/chunks": (replay) => [...replay, { isNoChunk: true }],
};

// `tell` says one message to the member; it hears of the room from here on.
function join(path, since, hello, tell) {
  const room = rooms.get(path) ?? { members: new Set(), said: [], isWrong: path in faults };
  rooms.set(path, room);
  hello({ room: "here", epoch, seq: room.said.length, resumed: since !== undefined });
  if (since !== undefined) {
    let replay = room.said.slice(Number(since.split(":")[1]));
    if (room.isWrong) {
      replay = faults[path](replay);
      room.isWrong = false;
    }
    replay.forEach(tell);
  }
  room.members.add(tell);
  return room;
}

const server = createServer((request, response) => {
  if (request.headers.accept !== "text/event-stream") return response.writeHead(400).end();
  const path = new URL(request.url, "ws://here").pathname;
  response.writeHead(200, { "Content-Type": "text/event-stream; charset=utf-8" });
  response.write(": welcome\n\n");
  const hello = (where) =>
    response.write(path === "/mute" ? "data: good morning\n\n" : `event: joined\ndata: ${JSON.stringify(where)}\nid: ${epoch}:${where.seq}\n\n`);
  const tell = (message) => {
    if (message.isNoChunk) return request.socket.write("no chunk\r\n");
    const name = message.name === undefined ? "" : `event: ${message.name}\r\n`;
    // The event in two chunks, and with the line ends that there are.
    response.write(`${name}id: ${message.epoch ?? epoch}:${message.seq}\rdata: ${message.text.slice(0, 9)}`);
    response.write(`${message.text.slice(9)}\n\r\n`);
  };
  const room = join(path, request.headers["last-event-id"], hello, tell);
  request.on("close", () => room.members.delete(tell));
});

new WebSocketServer({ server }).on("connection", (socket, request) => {
  const url = new URL(request.url, "ws://here");
  const hello = (where) => socket.send(url.pathname === "/mute" ? "good morning" : JSON.stringify(where));
  const tell = ({ seq, text }) => socket.send(`${seq}\n${text}`);
  const room = join(url.pathname, url.searchParams.get("since") ?? undefined, hello, tell);
  socket.on("message", (message) => {
    room.said.push({ seq: room.said.length + 1, text: message.toString() });
    for (const member of room.members) member(room.said.at(-1));
  });
  socket.on("close", () => room.members.delete(tell));
  socket.on("error", () => {});
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
