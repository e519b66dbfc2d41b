import { expect, test } from '@jest/globals';
import {
  DISK,
  HOST,
  NONCE,
  OTHER,
  VM,
  linesOf,
  onBothPrograms,
  onProgram,
  useTools,
  verdictOf,
} from '../../../test/fenceProgramHost.js';

useTools();

const TOKEN = 'cafe0123cafe0123cafe0123cafe0123';

onBothPrograms('order tokens', (play) => {
  const HELD = `mkdir run/tokens; touch run/tokens/${TOKEN}; WORDS=--tokens
    give() { order 7 ${DISK} | sed "s|token=-|token=$1|" | $PROGRAM $WORDS; }`;

  test.each([
    ['-', 'none at all'],
    ['0'.repeat(32), 'one that does not lie here'],
  ])('F29a: without a token of this host nothing is touched: %s (%s)', async (token) => {
    const { out } = await play({
      script: `${HELD}; qemu -uuid $VM; give ${token}; alive $LAST qemu; ls run run/tokens`,
    });
    expect(out[1]).toMatch(/^refused bad-order-token/);
    expect(out).toContain('alive qemu');
    expect(out).not.toContain('barriers');
    expect(out.at(-1)).toBe(TOKEN);
  });

  test('F29a: a token serves one order, and is used up by it', async () => {
    const { out } = await play({
      script: `${HELD}; qemu -uuid $VM; give ${TOKEN}; alive $LAST qemu; ls run/tokens | wc -l
        qemu -uuid $VM; give ${TOKEN}; alive $LAST second`,
    });
    expect(verdictOf(out)).toBe('dead');
    expect(out.slice(-5, -3)).toEqual(['gone qemu', '0']);
    expect(out.at(-2)).toMatch(/^refused bad-order-token/);
    expect(out.at(-1)).toBe('alive second');
  });

  test('F29a: it is used up whatever comes of the order; one order of two at once has it', async () => {
    const wrong = await play({
      script: `${HELD}; HEAD=host=${OTHER} give ${TOKEN}; ls run/tokens | wc -l`,
    });
    expect(wrong.out.slice(-2)).toEqual([expect.stringMatching(/^refused wrong-host/), '0']);
    const two = await play({
      script: `${HELD}; for i in 1 2; do give ${TOKEN} >told.$i & done; wait; cat told.*`,
    });
    expect(linesOf(two.out, 'refused')).toHaveLength(1);
    expect(linesOf(two.out, 'verdict')).toHaveLength(1);
  });

  test('F29a: a look takes none, and where none are asked for none is needed', async () => {
    const { out } = await play({
      script: `${HELD}; MODE=count give -; ls run/tokens; WORDS=; fence 7 ${DISK}`,
    });
    expect(linesOf(out, 'end')).toHaveLength(2);
    expect(out).toContain(TOKEN);
    expect(verdictOf(out)).toBe('dead');
  });

  test.each(['../host', 'x'.repeat(32), TOKEN.toUpperCase(), `${TOKEN}0`])(
    'F18: a token that could be another file is none: %s',
    async (token) => {
      const { out } = await play({ script: `${HELD}; give ${token}; ls run` });
      expect(out[1]).toMatch(/^refused bad-token/);
      expect(out.slice(2)).toContain('host');
    },
  );
});

/** A peer that keeps its session open: `send` writes, `hear WORD` waits for a line that begins so. */
const LINE = `
  begin() { mkfifo in out; ( exec $PROGRAM $WORDS "$@" <in >out ) & LINE=$!; exec 7>in 8<out; send 'fenceline-peer 1'; hear fenceline-fence; }
  send() { printf '%s\\n' "$@" >&7; }
  hear() { local l; while read -r -t 8 -u 8 l; do echo "$l"; [[ $l != "$1"* ]] || return 0; done; echo "nothing of $1"; }
  ask() { order "$@" | sed 1d >&7; }`;

onProgram('native', 'a fence line', (play) => {
  test('F27: a program serves orders and pings until its peer goes away', async () => {
    const { out } = await play({
      script: `${LINE}; begin; send "ping ${NONCE}"; hear pong
        qemu -uuid $VM; ask 7 ${DISK}; hear end; alive $LAST first
        send "ping ${NONCE}"; hear pong
        qemu -uuid $VM; MODE=count ask 7; hear end; alive $LAST second
        ask 7 ${DISK}; hear end; alive $LAST second
        exec 7>&-; wait $LINE; echo "exit $?"; ls run`,
    });
    expect(out[0]).toBe('fenceline-fence 1 line=1');
    const boot = '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}';
    const pong = new RegExp(`^pong ${NONCE} host=${HOST} boot=${boot} pidns=\\d+$`);
    expect(linesOf(out, 'pong')).toHaveLength(2);
    for (const line of linesOf(out, 'pong')) expect(line).toMatch(pong);
    expect(linesOf(out, 'end')).toHaveLength(3);
    expect(linesOf(out, 'verdict')).toHaveLength(2);
    const fates = out.filter((line) => /^(alive|gone) /.test(line));
    expect(fates).toEqual(['gone first', 'alive second', 'gone second']);
    expect(out).toContain('exit 0');
    expect(out.filter((line) => line.startsWith('fence.'))).toEqual([]);
  });

  test('F17: nothing of one order leaks into the next', async () => {
    const { out } = await play({
      script: `${LINE}; begin; mkdir run/runs run/grants
        # The first order meets all there is: a run, a newer one, a writer, a record, a lost disk.
        qemu -uuid $VM; qemu -uuid $VM -fw_cfg $(mark 9); NEW=$LAST
        ( exec 3>>img; exec -a backup bash -c "$SPIN" ) & LAST=$!; settle; BACKUP=$LAST
        echo nonsense >run/grants/$VM
        DEADLINE=1200 ask 7 ${DISK} disk=file:/nowhere; hear end
        kill -KILL $NEW $BACKUP; rm run/grants/$VM; echo second
        ask 7 ${DISK}; hear end; echo third
        qemu -uuid $OTHER; order 7 ${DISK} | sed "1d; s/$VM/$OTHER/" >&7; hear end`,
    });
    const [first = [], second = [], third = []] = ['second', 'third', ''].map((end, i, ends) => {
      const from = i === 0 ? 0 : out.indexOf(ends[i - 1] ?? '');
      return out.slice(from, end === '' ? undefined : out.indexOf(end));
    });
    expect(verdictOf(first)).toBe('unattributed');
    expect(linesOf(first, 'pid')).toHaveLength(2);
    expect(verdictOf(second)).toBe('dead');
    expect([...linesOf(second, 'pid'), ...linesOf(second, 'writer')]).toEqual([]);
    expect(linesOf(second, 'disk')).toHaveLength(1);
    expect(third.filter((line) => line.includes(VM))).toEqual([]);
    expect([verdictOf(third, OTHER), linesOf(third, 'pid').length]).toEqual(['dead', 1]);
  });

  test('F17: a larger order after a small one, and a small one after that', async () => {
    const { out } = await play({
      script: `${LINE}; begin; ask 7 ${DISK}; hear end
        { echo 'fence ${NONCE} token=- deadline_ms=9000 vms=300 grace_ms=50'
          for i in {0..299}; do
            printf 'vm 22222222-2222-3333-4444-%012d epoch=7 disk=file:%s disk=file:%s\\n' $i $PWD/img $PWD/img
          done; } >&7; hear end
        ask 7 ${DISK}; hear end`,
    });
    expect(linesOf(out, 'verdict').map((line) => line.split(' ')[2])).toEqual(
      Array.from({ length: 302 }, () => 'dead'),
    );
  });

  test('F17, F21: a daemon of libvirt that was ended for one order is not taken for ended in the next', async () => {
    const { out } = await play({
      virsh: 'hang',
      script: `${LINE}; begin; DEADLINE=1500 ask 7 ${DISK}; hear end
        ( exec -a /usr/sbin/libvirtd bash -c "printf libvirtd >/proc/\\$\\$/comm; $SPIN" ) & DAEMON=$!
        until [[ $(cat /proc/$DAEMON/comm) == libvirtd && $(tr '\\0' ' ' </proc/$DAEMON/cmdline) == */libvirtd* ]]; do sleep 0.01; done
        DEADLINE=2500 ask 7 ${DISK}; hear end; alive $DAEMON daemon`,
    });
    expect(linesOf(out, 'verdict')).toHaveLength(2);
    expect(out.at(-1)).toBe('gone daemon');
  });

  test('F29a: each order on a line needs a token of its own; a refusal ends the line', async () => {
    const { out } = await play({
      script: `mkdir run/tokens; touch run/tokens/${TOKEN}; WORDS=--tokens; ${LINE}; begin
        order 7 ${DISK} | sed "1d; s/token=-/token=${TOKEN}/" >&7; hear end
        order 7 ${DISK} | sed "1d; s/token=-/token=${TOKEN}/" >&7; hear refused; wait $LINE; echo "exit $?"`,
    });
    expect(linesOf(out, 'verdict')).toHaveLength(1);
    expect(out.slice(-2)).toEqual([expect.stringMatching(/^refused bad-order-token/), 'exit 2']);
  });

  test('F27: nobody speaks, and it ends; a ping keeps it', async () => {
    const { out } = await play({
      script: `${LINE}; begin --idle-sec 1; for i in 1 2 3 4; do sleep 0.4; send "ping ${NONCE}"; hear pong; done
        begun=$(date +%s%N); wait $LINE; echo "exit $?"; echo "idle $(( ($(date +%s%N) - begun) / 1000000 ))"`,
    });
    expect(linesOf(out, 'pong')).toHaveLength(4);
    expect(out).toContain('exit 0');
    const idle = Number(linesOf(out, 'idle')[0]?.split(' ')[1]);
    expect(idle).toBeGreaterThan(700);
    expect(idle).toBeLessThan(2_500);
  });

  test('F29a: looks and pings, which need no token, are answered five times a second, and orders at once', async () => {
    const { out } = await play({
      script: `${LINE}; begin; took() { echo "took $(( ($(date +%s%N) - begun) / 1000000 ))"; begun=$(date +%s%N); }
        begun=$(date +%s%N); for i in 1 2 3 4 5 6; do MODE=count ask 7; done; for i in 1 2 3 4 5 6; do send "ping ${NONCE}"; done
        for i in 1 2 3 4 5 6; do hear end; done; for i in 1 2 3 4 5 6; do hear pong; done; took
        for i in 1 2 3; do ask 7; hear end; done; took`,
    });
    expect([linesOf(out, 'end').length, linesOf(out, 'pong').length]).toEqual([9, 6]);
    const [free = 0, orders = 0] = linesOf(out, 'took').map((line) => Number(line.split(' ')[1]));
    // Five at once, then seven times 200 ms.
    expect(free).toBeGreaterThan(1_300);
    expect(orders).toBeLessThan(1_000);
  });

  test('F21: looks that come to nothing are repeated ever less often, also where memory is not short', async () => {
    const { out } = await play({
      script: `${LINE}; begin
        cp $TOOLS/WIPED ./qemu-system-x86_64; ./qemu-system-x86_64 -uuid $OTHER & LAST=$!
        until [[ -z $(tr -d '\\0' </proc/$LAST/cmdline) ]]; do sleep 0.01; done
        reads() { grep syscr /proc/$LINE/io | cut -d' ' -f2; }
        DEADLINE=4000 ask 7 ${DISK}; sleep 0.8; before=$(reads); sleep 2; echo "reads $(( $(reads) - before ))"; hear end`,
    });
    expect(verdictOf(out)).toBe('unattributed');
    // 25 looks at about eight processes; at every tick of 5 ms it would be 400.
    expect(Number(linesOf(out, 'reads')[0]?.split(' ')[1])).toBeLessThan(2_000);
  });

  test('F25: the deadline of one order is not that of the next', async () => {
    const { out } = await play({
      script: `${LINE}; begin; DEADLINE=400 ask 7 ${DISK}; hear end; sleep 0.6
        send "ping ${NONCE}"; hear pong; DEADLINE=3000 ask 7 ${DISK}; hear end`,
    });
    expect(linesOf(out, 'end')).toHaveLength(2);
    expect(linesOf(out, 'pong')).toHaveLength(1);
  });

  test('F18: what is no order ends the line', async () => {
    const { out } = await play({
      script: `${LINE}; begin; ask 7; hear end; send 'touch owned'; hear refused; wait $LINE; echo "exit $?"; ls`,
    });
    expect(linesOf(out, 'refused')[0]).toMatch(/^refused bad-order/);
    expect(out).toContain('exit 2');
    expect(out).not.toContain('owned');
  });

  test('F25: the peer has gone: the order is carried out, then nothing is left', async () => {
    const { out } = await play({
      script: `${LINE}; begin; qemu -uuid $VM; GRACE=300 ask 7 ${DISK}; exec 7>&- 8<&-
        wait $LINE; echo "exit $?"; alive $LAST qemu; ls run; ps -e -o args= | grep -c '[f]enceline-fence'`,
    });
    expect(out).toContain('gone qemu');
    expect(out.at(-1)).toBe('0');
    expect(out.filter((line) => line.startsWith('fence.'))).toEqual([]);
  });
});

onProgram('dynamic', 'a fence line whose helpers hang', (play) => {
  const HANGS = `PROGRAM="env LD_PRELOAD=$INJECT INJECT_CALL=fdatasync INJECT_PATH=$PWD/hung INJECT_DO=hang $PROGRAM"`;

  test('F17: helpers that hang are gone from the next order, and replaced', async () => {
    const { out } = await play({
      script: `${HANGS}; touch hung; ${LINE}; begin; sleep 0.2
        alive_ones() { ps -e -o pid=,stat=,args= | grep '[/]fenceline-fence' | awk '$2 !~ /^Z/ { print $1 }'; }
        alive_ones >before
        for i in 1 2 3; do DEADLINE=700 ask 7 disk=file:$PWD/hung; hear end; done
        ask 7 ${DISK}; hear end; sleep 0.2; alive_ones >after
        echo "more $(( $(wc -l <after) - $(wc -l <before) )), gone $(grep -vxcFf after before)"`,
    });
    const verdicts = linesOf(out, 'verdict').map((line) => line.split(' ')[2]);
    expect(verdicts).toEqual(['not-drained', 'not-drained', 'not-drained', 'dead']);
    expect(out.at(-1)).toMatch(/^more 0, gone [1-9]/);
  });

  test('F21, F25: a virsh that hangs for ever in every order does not use up the line', async () => {
    const { out } = await play({
      virsh: 'hang',
      script: `${LINE}; begin; for i in 1 2 3 4 5 6; do DEADLINE=1500 ask 7 ${DISK}; hear end; done
        ps -e -o args= | grep -c '[s]leep 1000'`,
    });
    expect(linesOf(out, 'verdict').map((line) => line.split(' ')[2])).toEqual(
      Array.from({ length: 6 }, () => 'dead'),
    );
    expect(Number(out.at(-1))).toBeLessThan(2);
  });

  test('F26: an order for which there is no memory is refused before anything is touched', async () => {
    const { out } = await play({
      script: `PROGRAM="env LD_PRELOAD=$INJECT INJECT_CALL=madvise INJECT_WHEN=$PWD/short INJECT_DO=12 $PROGRAM"
        ${LINE}; begin; touch short; qemu -uuid $VM; ask 7 ${DISK}; hear end; alive $LAST small
        qemu -uuid $VM; { order 7 ${DISK} | sed '1d; s/vms=1/vms=300/'; } >&7; hear refused; alive $LAST large`,
    });
    expect(out).toContain('gone small');
    expect(out.slice(-2)).toEqual([expect.stringMatching(/^refused no-memory/), 'alive large']);
  });
});
