/** A disk of an order, as it travelled and as the host names it. */
export interface OrderedDisk {
  encoded: string;
  source: string;
}

export interface OrderedVm {
  uuid: string;
  epoch: number;
  disks: OrderedDisk[];
}

/** An order of the fence program protocol v1, read by a parser of its own. */
export interface ReadOrder {
  mode: 'fence' | 'count';
  nonce: string;
  /** `-`: none was given. */
  token: string;
  deadlineMs: number;
  graceMs: number;
  /** Undefined: the peer did not say whom it means. */
  host: string | undefined;
  vms: OrderedVm[];
}

/** The order can't be obeyed; one word of the protocol. */
export class Refused extends Error {}

const UUID = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';
const HEAD = /^(fence|count) ([0-9a-f]{16,64}) (.*)$/;
const TOKEN = /^(?:-|[0-9a-f]{32})$/;
const VM = new RegExp(`^vm (${UUID}) epoch=(\\d{1,16})((?: \\S+)*)$`);

/** Reads VM lines behind a head. @throws Refused */
export async function readOrder(
  headLine: string,
  next: () => Promise<string | undefined>,
): Promise<ReadOrder> {
  const head = HEAD.exec(headLine);
  if (head === null) throw new Refused('bad-order');
  const [, mode, nonce = '', rest = ''] = head;
  const fields = new Map(rest.split(' ').map((word) => cutAt(word, '=')));
  const deadlineMs = Number(fields.get('deadline_ms'));
  const count = Number(fields.get('vms'));
  const inRange = deadlineMs >= 200 && deadlineMs <= 300_000 && count >= 1 && count <= 500;
  const token = fields.get('token') ?? '';
  if (!TOKEN.test(token)) throw new Refused('bad-token');
  if (!inRange) throw new Refused('bad-order');
  const vms: OrderedVm[] = [];
  while (vms.length < count) vms.push(readVm((await next()) ?? ''));
  return {
    mode: mode === 'count' ? 'count' : 'fence',
    nonce,
    token,
    deadlineMs,
    graceMs: Number(fields.get('grace_ms') ?? 300),
    host: fields.get('host'),
    vms,
  };
}

function readVm(line: string): OrderedVm {
  const [, uuid = '', epoch, rest = ''] = VM.exec(line) ?? [];
  if (uuid === '') throw new Refused('bad-vm');
  const words = rest.split(' ').filter((word) => word.startsWith('disk='));
  return {
    uuid,
    epoch: Number(epoch),
    disks: words.map((word) => {
      const [, encoded] = cutAt(word.slice('disk='.length), ':');
      return { encoded, source: decodeURIComponent(encoded) };
    }),
  };
}

function cutAt(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark);
  return [text.slice(0, at), text.slice(at + 1)];
}
