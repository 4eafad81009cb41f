/**
 * A relay of its own process that answers every REQ with so many events, each other than all before
 * and rightly signed: `node test/bench/event-source.ts <count>`. It says its URL in its first line.
 */
import { once } from 'node:events';
import { initNostrWasm } from 'nostr-wasm';
import { type WebSocket, WebSocketServer } from 'ws';

/** Bytes that may wait to be sent. */
const UNSENT_MAX = 1_000_000;
const CONTENT = 'x'.repeat(400);

const count = Number(process.argv[2]);
const nostr = await initNostrWasm();
const key = nostr.generateSecretKey();

async function tell(socket: WebSocket, request: string): Promise<void> {
  for (let number = 0; number < count && socket.readyState === socket.OPEN; number++) {
    const event = {
      ...{ id: '', pubkey: '', sig: '', kind: 21_000, created_at: 1_800_000_000 + number },
      ...{ tags: [['n', `${number}`]], content: CONTENT },
    };
    nostr.finalizeEvent(event, key);
    const sent = new Promise<void>((resolve) => {
      socket.send(JSON.stringify(['EVENT', request, event]), () => resolve());
    });
    if (socket.bufferedAmount > UNSENT_MAX) await sent;
    // Others have their turn: pings, and the end.
    else if (number % 32 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  socket.send(JSON.stringify(['EOSE', request]));
}

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
server.on('connection', (socket) => {
  socket.on('message', (data) => {
    const message: unknown = JSON.parse(String(data));
    if (Array.isArray(message) && message[0] === 'REQ') void tell(socket, String(message[1]));
  });
});
await once(server, 'listening');
const address = server.address();
if (address === null || typeof address === 'string') throw new Error('no port');
process.stdout.write(`ws://127.0.0.1:${address.port}\n`);
