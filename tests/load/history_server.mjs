// A server of rooms that remember, as ringcast's answer to ?seq=1, which is wrong in the way that its path asks for: once, to the first member that
// comes back with since=. /right is right; /skip leaves out the first message of the replay; /double sends it twice; /swap exchanges the first
// two; /renumber sends them all, the second under the number of the first; /forget says that it resumes, and sends the last one only; /mute
// says something else in place of where the room is. Prints its port.
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
};

const server = new WebSocketServer({ host: "127.0.0.1", port: 0 }, () => console.log(server.address().port));
server.on("connection", (socket, request) => {
  const url = new URL(request.url, "ws://here");
  const room = rooms.get(url.pathname) ?? { members: new Set(), said: [], isWrong: url.pathname in faults };
  rooms.set(url.pathname, room);
  const since = url.searchParams.get("since");
  const hello = { room: "here", epoch, seq: room.said.length, resumed: since !== null };
  socket.send(url.pathname === "/mute" ? "good morning" : JSON.stringify(hello));
  if (since !== null) {
    let replay = room.said.slice(Number(since.split(":")[1]));
    if (room.isWrong) {
      replay = faults[url.pathname](replay);
      room.isWrong = false;
    }
    for (const { seq, text } of replay) socket.send(`${seq}\n${text}`);
  }
  room.members.add(socket);
  socket.on("message", (message) => {
    const text = message.toString();
    room.said.push({ seq: room.said.length + 1, text });
    for (const member of room.members) member.send(`${room.said.length}\n${text}`);
  });
  socket.on("close", () => room.members.delete(socket));
  socket.on("error", () => {});
});
