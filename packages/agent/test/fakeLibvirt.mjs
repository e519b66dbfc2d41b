// A libvirt daemon that speaks as much of its protocol as the fence program does, and lies as a test wants.
//
//   fakeLibvirt.mjs SOCKET LOG MODE [VM]
//
// MODE: running | off | unknown | reused (the number is another VM's by now) | error | login | cut (ends in the
// middle) | mixed (answers a question that was not asked) | held (never answers for VM) | silent (never answers)
import { appendFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';

const [socket, log, mode, held = ''] = process.argv.slice(2);
const CALLS = {
  1: 'open',
  12: 'destroy',
  22: 'by-number',
  24: 'by-uuid',
  66: 'ways-in',
  212: 'state',
};
const OTHER = Buffer.from('99999999222233334444555555555555', 'hex');
const NO_DOMAIN = 42;
const NUMBER = 5;
let asked = OTHER;

const number = (value) => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};
const domain = (uuid) =>
  Buffer.concat([number(3), Buffer.from('web\0'), uuid, number(mode === 'off' ? -1 : NUMBER)]);
const failed = (code) => ({
  failed: true,
  body: Buffer.concat([number(code), number(10), number(0)]),
});
const said = (body) => ({ failed: false, body });

function answer(call, body) {
  if (call === 'ways-in') return said(Buffer.concat([number(1), number(mode === 'login' ? 1 : 0)]));
  if (call === 'by-uuid') {
    asked = Buffer.from(body.subarray(0, 16));
    if (mode === 'unknown') return failed(NO_DOMAIN);
    return mode === 'error' ? failed(1) : said(domain(asked));
  }
  if (call === 'by-number') return said(domain(mode === 'reused' ? OTHER : asked));
  if (call === 'state') return said(Buffer.concat([number(mode === 'off' ? 5 : 1), number(0)]));
  return said(Buffer.alloc(0));
}
function wordsOf(call, body) {
  if (call === 'by-uuid') return body.subarray(0, 16).toString('hex');
  if (call === 'by-number') return body.readInt32BE(0);
  // The name "web" is padded to four bytes.
  return call === 'destroy'
    ? `${body.subarray(8, 24).toString('hex')} ${body.readInt32BE(24)}`
    : '';
}
function serve(connection, packet) {
  const call = CALLS[packet.readUInt32BE(12)] ?? 'strange';
  const body = packet.subarray(28);
  appendFileSync(log, `${call} ${wordsOf(call, body)}\n`);
  if (mode === 'silent') return;
  if (mode === 'cut' && call === 'state') {
    connection.destroy();
    return;
  }
  if (call === 'by-uuid' && body.subarray(0, 16).toString('hex') === held.replaceAll('-', ''))
    return;
  const reply = answer(call, body);
  const head = Buffer.from(packet.subarray(0, 28));
  head.writeUInt32BE(28 + reply.body.length, 0);
  head.writeUInt32BE(1, 16);
  if (mode === 'mixed' && call === 'by-number') head.writeUInt32BE(packet.readUInt32BE(20) - 1, 20);
  head.writeUInt32BE(reply.failed ? 1 : 0, 24);
  connection.write(Buffer.concat([head, reply.body]));
}

rmSync(socket, { force: true });
createServer((connection) => {
  let rest = Buffer.alloc(0);
  connection.on('error', () => undefined);
  connection.on('data', (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 4 && rest.length >= rest.readUInt32BE(0)) {
      const length = rest.readUInt32BE(0);
      serve(connection, rest.subarray(0, length));
      rest = rest.subarray(length);
    }
  });
}).listen(socket);
