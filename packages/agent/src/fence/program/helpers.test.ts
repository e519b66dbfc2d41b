import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import {
  DISK,
  linesOf,
  NATIVE,
  NONCE,
  onProgram,
  OTHER,
  useTools,
  verdictOf,
} from '../../../test/fenceProgramHost.js';

// Helpers that hang or are killed, also where no others can be made (packages/native/helpers.h).
useTools();

const RELAY = join(NATIVE, 'build/relay');
beforeAll(() => {
  execFileSync('make', ['-s', '-C', NATIVE, 'build/relay']);
});

onProgram('dynamic', 'a fence line whose libvirt hangs', (play) => {
  /** A line of its own by this name, with these faults; how many processes and zombies it has. */
  const LINE = `
    line() { local n=$1; shift; mkfifo in.$n out.$n
      ( exec env LD_PRELOAD=$INJECT "$@" $PROGRAM <in.$n >out.$n ) & pid[$n]=$!
      exec {to[$n]}>in.$n {from[$n]}<out.$n; echo 'fenceline-peer 1' >&\${to[$n]}; hear $n fenceline-fence; }
    hear() { local l; while read -r -t 8 -u \${from[$1]} l; do [[ $l != "$2"* ]] || return 0; done; echo "nothing of $2"; }
    ping() { echo 'ping ${NONCE}' >&\${to[$1]}; hear $1 pong; }
    count() { ps -e -o ppid=,stat= | awk -v p=\${pid[$1]} -v z=$2 '$1 == p && ($2 ~ /^Z/) == z' | wc -l; }
    tell() { echo "$1 $(count $1 0) $(count $1 1)"; }
    declare -a pid to from; export FENCELINE_LIBVIRT_SOCKET=$PWD/libvirt.sock
    $LIBVIRTD $PWD/libvirt.sock $PWD/libvirt.log silent & until [[ -S libvirt.sock ]]; do sleep 0.01; done`;

  test('F27: it keeps its helpers: one at a time is lost at most, and none where one more can be made', async () => {
    const { out } = await play({
      script: `${LINE}
        # The daemon hangs; a helper hangs for good; the same, and more can be made.
        line 0 INJECT_FULL=$PWD/full; line 1 INJECT_FULL=$PWD/full INJECT_CALL=connect INJECT_DO=hang
        line 2 INJECT_CALL=connect INJECT_DO=hang
        touch full; sleep 0.1; for i in 0 1 2; do tell $i; ping $i; ping $i; done
        sleep 5.3; for i in 0 1 2; do ping $i; done; sleep 0.3; for i in 0 1 2; do ping $i; done; sleep 0.3
        for i in 0 1 2; do tell $i; done`,
    });
    const [before, after] = [out.slice(0, 3), out.slice(3)].map((lines) =>
      lines.map((line) => line.split(' ').slice(1).map(Number)),
    );
    const lost = before?.map(([living = 0], i) => living - (after?.[i]?.[0] ?? 0));
    expect(lost).toEqual([0, 1, 0]);
    expect(after?.map(([, zombies]) => zombies)).toEqual([0, 0, 0]);
  });
});

onProgram('dynamic', 'the native fence program: helpers that are killed', (play) => {
  /** Kills who has one of these files open, as often as is said; says how often. */
  const KILLS = `
    killer() { local n=0 l f p; while ((n < $2)); do
        for l in /proc/[0-9]*/fd/*; do
          for f in $1; do [[ ! $l -ef $f ]] || break; done; [[ $l -ef $f ]] || continue
          p=\${l#/proc/}; p=\${p%%/*}; [[ $p != $$ ]] || continue
          # The last one's successor hangs no more.
          ((++n < $2)) || rm -f hold
          kill -KILL $p && echo killed; until [[ ! -e $l ]]; do sleep 0.01; done; break
        done 2>/dev/null
      done; }`;
  const fence = (times: number, file: string, faults: string): string => `
    ${KILLS}; touch hold; DEADLINE=9000 order 7 ${DISK} >order.txt; killer '${file}' ${times} & KILLER=$!
    env LD_PRELOAD=$INJECT INJECT_WHEN=$PWD/hold INJECT_DO=hang ${faults} $PROGRAM <order.txt; kill $KILLER`;

  test('F21a: a flush whose helper is killed is done by another', async () => {
    const faults = 'INJECT_CALL=fdatasync INJECT_PATH=$PWD/img';
    const { out } = await play({ script: fence(2, 'img', faults) });
    expect(out.filter((line) => line === 'killed')).toHaveLength(2);
    expect(linesOf(out, 'disk')[0]).toMatch(/ drained=synced$/);
    expect(verdictOf(out)).toBe('dead');
  });

  test('F21a: but not for ever', async () => {
    const faults = 'INJECT_CALL=fdatasync INJECT_PATH=$PWD/img';
    const { out } = await play({ script: fence(9, 'img', faults) });
    expect(out.filter((line) => line === 'killed')).toHaveLength(4);
    expect(verdictOf(out)).toBe('not-drained');
  });

  test('F34: a barrier whose helper is killed is set on disk by another', async () => {
    const faults = 'INJECT_CALL=fsync INJECT_PATH=$PWD/state/barriers/.fence INJECT_FLUSH_MS=900';
    const { out } = await play({ script: fence(1, 'state/barriers/.fence*/*', faults) });
    expect(linesOf(out, 'verdict')[0]).toMatch(/ dead barrier=disk$/);
  });

  test('F26: who was killed while there was nothing to do is replaced before the next order', async () => {
    const { out } = await play({
      script: `mkfifo in out; ( exec $PROGRAM <in >out ) & LINE=$!; exec 7>in 8<out; echo 'fenceline-peer 1' >&7
        hear() { local l; while read -r -t 8 -u 8 l; do echo "$l"; [[ $l != "$1"* ]] || return 0; done; }
        hear fenceline-fence; sleep 0.3
        kill -KILL $(ps -e -o pid=,ppid= | awk -v p=$LINE '$2 == p { print $1 }' | head -12)
        order 7 ${DISK} | sed 1d >&7; hear end`,
    });
    expect(verdictOf(out)).toBe('dead');
  });
});

onProgram('dynamic', 'the native fence program: nothing can be forked', (play) => {
  /** One worker, and no helper beyond those that it has; what hangs lies in this folder. */
  const scarce = (slow: string): string => `
    SLOW=${slow}; mkdir -p $SLOW/state
    exec {said}< <(exec env LD_PRELOAD=$INJECT INJECT_FULL=$PWD/full INJECT_CALL=open INJECT_DO=hang INJECT_PATH=$SLOW/ \
      FENCELINE_STATE_DIR=$SLOW/state $PROGRAM --listen 1 2>&1); KEEPER=$!
    read -t 10 -u $said line; until [[ $(ps -e -o args= | grep -c '[f]enceline-fence --listen') -ge 10 ]]; do sleep 0.02; done
    touch full; guest() { timeout 15 '${RELAY}' guest run/fence.sock; }
    disks() { local i; for ((i = 0; i < $1; i++)); do echo disk=file:$SLOW/$i; done; }
    { DEADLINE=4000 order 7 $(disks 30) | sed 's/vms=1/vms=2/'; echo "vm $OTHER epoch=7 ${DISK}"; } >order.txt
    guest <order.txt`;

  test('F17: names that hang, and a barrier, leave a helper for each thing that an order needs', async () => {
    const { out } = await play({
      unkillable: 'qemu',
      // Each device there is a storage of its own.
      script: `mount -t tmpfs slow /dev/shm; ${scarce('/dev/shm/slow')}`,
    });
    expect(verdictOf(out)).toBe('alive');
    expect(linesOf(out, 'verdict').at(-1)).toBe(`verdict ${OTHER} dead barrier=memory`);
  });

  test('F17: nor does a storage that hangs under VMs that are gone take the last helpers', async () => {
    const { out } = await play({
      script: `mkdir slow; mount -t tmpfs slow slow; ${scarce('$PWD/slow')}`,
    });
    expect(verdictOf(out)).toBe('not-drained');
    expect(linesOf(out, 'verdict').at(-1)).toBe(`verdict ${OTHER} dead barrier=memory`);
  });
});

onProgram('bash', 'the fence program in bash: a flush that is killed', (play) => {
  const killed = (times: number): string => `
    printf '%s\\n' '#!/bin/bash' '[[ $* == *img* ]] || exec /bin/sync "$@"' 'echo x >>"$SANDBOX/tries"' \
      '(($(wc -l <"$SANDBOX/tries") > ${times})) || kill -KILL $$' 'exec /bin/sync "$@"' >bin/sync
    chmod +x bin/sync; fence 7 ${DISK}; wc -l <tries`;

  test('F21a: a flush that is killed is done again, but not for ever', async () => {
    expect(verdictOf((await play({ script: killed(3) })).out)).toBe('dead');
    const { out } = await play({ script: killed(99) });
    expect([verdictOf(out), out.at(-1)]).toEqual(['not-drained', '4']);
  });
});
