import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import {
  DISK,
  NATIVE,
  NONCE,
  VM,
  linesOf,
  onProgram,
  useTools,
  verdictOf,
} from '../../../test/fenceProgramHost.js';

useTools();

/** Only root may be before others. */
const asRoot = process.getuid?.() === 0 ? test : test.skip;

const TOKEN = '0123456789abcdef0123456789abcdef';
const PINGS = ['aabbccddeeff0011', '1100ffeeddccbbaa'];

const RELAY = join(NATIVE, 'build/relay');
beforeAll(() => {
  execFileSync('make', ['-s', '-C', NATIVE, 'build/relay']);
});

// `guest` speaks with the program at RUN/fence.sock: what comes on its standard input, then the end of it.
const GUEST = `
guest() { timeout 15 '${RELAY}' guest run/fence.sock; }
listen() { # WORKERS OPTIONS…
  exec {said}< <(exec $PROGRAM --listen "$@" 2>&1); KEEPER=$!
  read -t 10 -u $said line; echo "$line"
}
workers() { local pid; for pid in $(</proc/$KEEPER/task/$KEEPER/children); do echo $pid; done; }
`;

onProgram('native', 'the second way in (F27)', (play) => {
  test('F27: an order over the local socket is answered as over standard input', async () => {
    const { out } = await play({
      script: `${GUEST}
        listen 2; stat -c 'mode %a' run/fence.sock
        qemu -uuid $VM; order 7 ${DISK} | guest; alive $LAST qemu`,
    });
    expect(out.slice(0, 3)).toEqual(['listening', 'mode 700', 'fenceline-fence 1 line=1']);
    expect(verdictOf(out)).toBe('dead');
    expect(out.at(-2)).toMatch(new RegExp(`^end ${NONCE} .* control=ok`));
    expect(out.at(-1)).toBe('gone qemu');
  });

  test('F27: one guest after the other is served by the same process, and none hears of the other', async () => {
    const { out } = await play({
      script: `${GUEST}
        listen 1; workers >before
        for epoch in 7 8 9; do
          qemu -uuid $VM -fw_cfg $(mark $epoch); order $epoch ${DISK} | guest | tee answer.$epoch | grep ^verdict
          grep -c ^pid answer.$epoch; grep -c ^fenceline-fence answer.$epoch
        done
        workers | cmp - before && echo same`,
    });
    const perGuest = [`verdict ${VM} dead barrier=disk`, '1', '1'];
    expect(out).toEqual(['listening', ...perGuest, ...perGuest, ...perGuest, 'same']);
  });

  asRoot('F29a: a look, which needs no token, is before nobody else on this host', async () => {
    const { out } = await play({
      script: `${GUEST}
        listen 1 --tokens
        policy() { local s; s=$(cat /proc/$(workers)/stat); s=\${s##*) }; set -- $s; echo "policy \${39}"; }
        becomes() { for i in {1..500}; do [[ $(policy) != "policy $1" ]] || break; sleep 0.01; done; policy; }
        # The order is not whole yet, so the worker is at it.
        begin() { mkfifo in.$1; guest <in.$1 >out.$1 & exec {file}>in.$1; MODE=$1 order 7 | head -2 >&$file; }
        becomes 1; begin count; becomes 0; echo "vm $VM epoch=7" >&$file; exec {file}>&-; wait $!; grep -c ^end out.count
        becomes 1; begin fence; until grep -q ^fence out.fence; do sleep 0.01; done; sleep 0.2; policy
        echo "vm nonsense" >&$file; exec {file}>&-; wait $!
        rm in.count; begin count; becomes 0; echo "vm nonsense" >&$file; exec {file}>&-; wait $!; becomes 1`,
    });
    expect(out.slice(1)).toEqual([
      ...['policy 1', 'policy 0', '1', 'policy 1', 'policy 1', 'policy 0', 'policy 1'],
    ]);
  });

  test('F29a: an order without its token is refused, and that costs no worker', async () => {
    const { out } = await play({
      script: `${GUEST}
        mkdir run/tokens; : >run/tokens/${TOKEN}
        listen 1 --tokens; workers >before
        qemu -uuid $VM
        order 7 ${DISK} | guest | tail -1
        alive $LAST qemu
        order 7 ${DISK} | sed 's/token=-/token=${TOKEN}/' | guest | grep ^verdict
        ls run/tokens; alive $LAST qemu
        workers | cmp - before && echo same`,
    });
    expect(out).toEqual([
      'listening',
      'refused bad-order-token not one of this host',
      'alive qemu',
      `verdict ${VM} dead barrier=disk`,
      'gone qemu',
      'same',
    ]);
  });

  test('F27: a line over it serves pings and several orders', async () => {
    const { out } = await play({
      script: `${GUEST}
        listen 1; qemu -uuid $VM
        { echo 'fenceline-peer 1'; echo 'ping ${PINGS[0]}'; order 7 ${DISK} | tail -n +2
          echo 'ping ${PINGS[1]}'; order 8 ${DISK} | tail -n +2; } | guest`,
    });
    expect(linesOf(out, 'pong').map((line) => line.split(' ')[1])).toEqual(PINGS);
    expect(linesOf(out, 'verdict').map((line) => line.split(' ')[2])).toEqual(['dead', 'dead']);
  });

  test('F27: who only pings or looks leaves his worker to a guest who waits, the oldest one first', async () => {
    const { out } = await play({
      script: `${GUEST}
        stay() { mkfifo in.$1; ( guest <in.$1 >out.$1; echo over >over.$1 ) & exec {file}>in.$1; echo 'fenceline-peer 1' >&$file; until grep -q ^fence out.$1; do sleep 0.01; done; }
        listen 3; stay old; OLD=$file; sleep 0.3; stay middle; MIDDLE=$file; sleep 0.3; stay new; NEW=$file
        for i in {1..30}; do echo 'ping ${PINGS[0]}'; done >&$OLD
        for i in {1..30}; do MODE=count order 7 | tail -n +2; done >&$MIDDLE
        qemu -uuid $VM; order 7 ${DISK} | timeout 8 '${RELAY}' guest run/fence.sock | grep ^verdict; ls over.*; alive $LAST qemu
        echo 'ping ${PINGS[1]}' >&$NEW; until grep -q ^pong out.new; do sleep 0.01; done; echo pong
        stay next; order 8 ${DISK} | guest | grep ^verdict; until [[ -e over.middle ]]; do sleep 0.01; done; ls over.*`,
    });
    const dead = `verdict ${VM} dead barrier=disk`;
    expect(out).toEqual([
      ...['listening', dead, 'over.old', 'gone qemu', 'pong', dead],
      ...['over.middle', 'over.old'],
    ]);
  });

  test('F27: a guest whose order is carried out keeps his worker, and others leave for him', async () => {
    const { out } = await play({
      virsh: 'hang',
      script: `${GUEST}
        listen 2; ( DEADLINE=20000 order 7 ${DISK} | guest | grep ^verdict >first ) & FIRST=$!; sleep 0.3
        { echo 'fenceline-peer 1'; sleep 10; } | guest >idle & sleep 0.2
        { echo 'fenceline-peer 1'; sleep 0.1; } | guest | head -1; cat first; echo then; wait $FIRST; cat first`,
    });
    expect(out.slice(0, 3)).toEqual(['listening', 'fenceline-fence 1 line=1', 'then']);
    expect(out[3]).toMatch(/^verdict .* dead/);
  });

  test('F25: a guest that leaves in the middle stops no fence, and the next one is served', async () => {
    const { out } = await play({
      script: `${GUEST}
        listen 1; qemu -uuid $VM
        { order 7 ${DISK}; sleep 0.05; } | timeout 0.3 '${RELAY}' guest run/fence.sock >/dev/null
        for i in {1..500}; do kill -0 $LAST 2>/dev/null || break; sleep 0.01; done
        alive $LAST qemu
        order 7 ${DISK} | guest | grep ^verdict`,
    });
    expect(out).toEqual(['listening', 'gone qemu', `verdict ${VM} dead barrier=disk`]);
  });

  test('F27: a worker that was killed is replaced; without the keeper nothing is left', async () => {
    const { out } = await play({
      script: `${GUEST}
        listen 1; first=$(workers); kill -9 $first
        for i in {1..500}; do [[ $(workers) == "$first" || -z $(workers) ]] || break; sleep 0.01; done
        [[ $(workers) != "$first" ]] && echo replaced
        qemu -uuid $VM; order 7 ${DISK} | guest | grep ^verdict
        kill -9 $KEEPER
        for i in {1..500}; do pgrep -f fenceline-fence >/dev/null || break; sleep 0.01; done
        pgrep -cf fenceline-fence`,
    });
    expect(out).toEqual(['listening', 'replaced', `verdict ${VM} dead barrier=disk`, '0']);
  });
});
