import { expect, test } from '@jest/globals';
import {
  DISK,
  linesOf,
  onBothPrograms,
  onProgram,
  useTools,
  verdictOf,
} from '../../../test/fenceProgramHost.js';

useTools();

onBothPrograms('the fence program: disks and other writers', (play) => {
  test('F20a: another writer of a disk is named, not killed, and the VM is not dead', async () => {
    const { out } = await play({
      script: `
        ln -s $PWD/img link
        ( exec 3>>img; exec -a qemu-nbd bash -c "$SPIN" ) & LAST=$!; settle
        fence 7 disk=file:$PWD/link; alive $LAST writer`,
    });
    expect(verdictOf(out)).toBe('other-writer');
    expect(linesOf(out, 'writer')[0]).toMatch(/^writer \S+ \d+ bash \/.*\/link$/);
    expect(out.at(-1)).toBe('alive writer');
  });

  test('F20a: a writer whose main thread has ended is found: its other threads have the file open', async () => {
    const { out } = await play({
      script: `
          echo "exec 3>&-; $SPIN" >child
          ( exec 3>>img; exec -a qemu-nbd $TOOLS/ZOMBIE_LEADER child ) & LAST=$!
          until [[ $(cut -d' ' -f3 /proc/$LAST/stat) == Z ]]; do sleep 0.01; done
          fence 7 ${DISK}; echo $LAST`,
    });
    expect(linesOf(out, 'writer')).toHaveLength(1);
    expect(linesOf(out, 'writer')[0]).toContain(` ${out.at(-1)} `);
    expect(verdictOf(out)).toBe('other-writer');
  });

  test('F20a: a reader of a disk is no writer', async () => {
    const { out } = await play({
      script: `( exec 3<img; exec -a backup bash -c "$SPIN" ) & LAST=$!; settle; fence 7 ${DISK}`,
    });
    expect(verdictOf(out)).toBe('dead');
  });

  test('F21a: a disk that can not be flushed is not drained; each disk has its own answer', async () => {
    const { out } = await play({
      script: `fence 7 ${DISK} disk=file:$PWD/nowhere disk=block:$PWD/img`,
    });
    expect(verdictOf(out)).toBe('not-drained');
    expect(linesOf(out, 'disk').map((line) => line.split(' ').slice(-1)[0])).toEqual([
      'drained=synced',
      'drained=no',
      'drained=no',
    ]);
  });

  test('F21a: the flush comes after the death', async () => {
    const { out } = await play({
      script: `
        cat >bin/sync <<'SYNC'
#!/bin/bash
read -r _ _ state _ 2>/dev/null </proc/$(cat "$SANDBOX/qemu.pid")/stat
[[ \${state:-Z} == Z ]] || echo early >>"$SANDBOX/sync.log"
exec /bin/sync "$@"
SYNC
        chmod +x bin/sync; qemu -uuid $VM; echo $LAST >qemu.pid; rm -rf state; echo x >state
        GRACE=200 fence 7 ${DISK}; cat sync.log 2>/dev/null; echo end-of-log`,
    });
    expect(verdictOf(out)).toBe('dead');
    expect(out).not.toContain('early');
  });

  test('F20a: a writer whose main thread is about to end has no files there any more, and is found', async () => {
    const { out } = await play({
      script: `
          $TOOLS/ENDING_LEADER img ready & LAST=$!; until [[ -e ready ]]; do sleep 0.02; done
          cut -d' ' -f3 /proc/$LAST/stat; fence 7 ${DISK}`,
    });
    // Not Z yet: else it would be the same as above.
    expect(out[0]).toMatch(/[RSD]/);
    expect(linesOf(out, 'writer')).toHaveLength(1);
    expect(verdictOf(out)).toBe('other-writer');
  });
});

// The native program has no such helpers: nativeFaults.test.ts breaks its calls instead.
onProgram(
  'bash',
  'the fence program: what is faked are its find, sync, realpath and grep',
  (play) => {
    const HANDS_ON = `
    echo 'exec 3>>img; until [[ -e go ]]; do :; done; ( exec sleep 1000 ) & echo $! >child' >parent
    bash parent & LAST=$!; until [[ $(readlink /proc/$LAST/fd/3) == */img ]]; do sleep 0.01; done
    hands_on() { printf '%s\\n' '#!/bin/bash' "$2" '[[ -e go ]] || { touch go
      until [[ -s child && ! -e /proc/'$LAST' ]]; do sleep 0.01; done; }' "$3" >bin/$1; chmod +x bin/$1; }`;

    test('F21a: a flush that began before a death is worth nothing', async () => {
      const { out } = await play({
        script: `
        cat >bin/sync <<'SYNC'
#!/bin/bash
[[ $* == *img* ]] || exec /bin/sync "$@"
if mkdir "$SANDBOX/first" 2>/dev/null; then
  for ((i = 0; i < 300; i++)); do [[ ! -d $SANDBOX/second ]] || break; sleep 0.01; done
  touch "$SANDBOX/over"; exit 0
fi
[[ ! -e $SANDBOX/over ]] || exit 0
mkdir "$SANDBOX/second" 2>/dev/null
until [[ -e $SANDBOX/over ]]; do sleep 0.01; done
sleep 1.5; exit 1
SYNC
        chmod +x bin/sync
        ( until [[ -d first ]]; do sleep 0.01; done
          exec -a qemu-system-x86_64 bash -c "$SPIN" -uuid $VM ) &
        fence 7 ${DISK}`,
      });
      // The first flush ends well, after the second one has begun, which fails; later ones end well.
      // The stand-in for qemu forks once at its start: a look may catch that copy of it as well.
      expect(linesOf(out, 'pid').length).toBeGreaterThan(0);
      expect(linesOf(out, 'disk')[0]).toMatch(/drained=no$/);
      expect(verdictOf(out)).toBe('not-drained');
    });

    test.each([
      ['exit 0', 'sees nothing at all'],
      [`printf '/proc/1/fd/0 %sx\\0' "$SANDBOX/img"`, 'does not see its own open file'],
      [`echo "find: '/proc/7/fd': Cannot allocate memory" >&2; exec /usr/bin/find "$@"`, 'fails'],
      [
        `echo "find: '/proc/1/fd': Permission denied" >&2; exec /usr/bin/find "$@"`,
        'may not look into a process that runs',
      ],
      [
        `echo "find: '/proc/1/task/7/fd': No such file or directory" >&2; exec /usr/bin/find "$@"`,
        'loses a thread of a process that runs',
      ],
    ])('F20a: a scan for writers that %s proves nothing (%s)', async (find) => {
      const { out } = await play({
        script: `
        printf '%s\\n' '#!/bin/bash' ${JSON.stringify(find).replaceAll('$', '\\$')} >bin/find
        chmod +x bin/find; DEADLINE=2000 fence 7 ${DISK}`,
      });
      expect(verdictOf(out)).toBe('not-drained');
    });

    test('F20a, F25: a scan that is cut short has not seen everybody, and leaves nobody behind', async () => {
      const { out } = await play({
        script: `
        for ((i = 0; i < 400; i++)); do exec {fd}<img; done
        printf '#!/bin/bash\\n/usr/bin/find "$@"; exec sleep 4321\\n' >bin/find
        printf '#!/bin/bash\\n[[ $5 != */bash ]] || set -- "\${@:1:3}" 0.4 "\${@:5}"\\nexec /usr/bin/timeout "$@"\\n' >bin/timeout
        chmod +x bin/find bin/timeout
        DEADLINE=2000 fence 7 ${DISK}; grep -lz '[4]321' /proc/[0-9]*/cmdline 2>/dev/null | wc -l`,
      });
      expect(verdictOf(out)).toBe('not-drained');
      expect(out.at(-1)).toBe('0');
    });

    test('F20a: a writer that was seen and can not be looked at any more is not forgotten', async () => {
      const { out } = await play({
        script: `
          ( exec 3>>img; exec -a backup bash -c "$SPIN" ) & LAST=$!; settle
          export ENOMEM_AT=/proc/$LAST/stat ENOMEM_IN=fenceline-fence
          DEADLINE=1500 LD_PRELOAD=$TOOLS/ENOMEM.so fence 7 ${DISK}`,
      });
      expect(verdictOf(out)).toBe('not-drained');
    });

    test.each([
      ['before it is looked at', `hands_on find '' 'exec /usr/bin/find "$@"'`],
      ['after it was seen', `hands_on grep '/usr/bin/grep "$@"' ''`],
    ])('F20a: a writer that hands its file to a child and ends, %s', async (_when, hands) => {
      const { out } = await play({ script: `${HANDS_ON}; ${hands}; fence 7 ${DISK}` });
      expect(linesOf(out, 'writer')).toHaveLength(1);
      expect(verdictOf(out)).toBe('other-writer');
    });

    test('F20a: without memory for the list of processes the scan has seen nobody new', async () => {
      const { out } = await play({
        script: `
          ${HANDS_ON}; hands_on find '' 'exec /usr/bin/find "$@"'
          export ENOMEM_DIR=/proc ENOMEM_IN=pipefail ENOMEM_WHEN=$PWD/go
          DEADLINE=1500 LD_PRELOAD=$TOOLS/ENOMEM.so fence 7 ${DISK}`,
      });
      expect(verdictOf(out)).toBe('not-drained');
    });

    test('F21a: what a writer left that ended before the scan is flushed, too', async () => {
      const { out } = await play({
        script: `
        printf '#!/bin/bash\\n/bin/sync "$@"; [[ $* != *img* ]] || echo flush >>"$SANDBOX/order"\\n' >bin/sync
        printf '#!/bin/bash\\necho scan >>"$SANDBOX/order"; exec /usr/bin/realpath "$@"\\n' >bin/realpath
        chmod +x bin/*; fence 7 ${DISK}; tr '\\n' ' ' <order`,
      });
      expect(verdictOf(out)).toBe('dead');
      expect(out.at(-1)?.trim()).toBe('flush scan flush');
    });

    test('F20a: without real names a writer could come by another path, so nothing is dead', async () => {
      const { out } = await play({
        script: `
        printf '#!/bin/bash\\nexit 1\\n' >bin/realpath; chmod +x bin/realpath
        DEADLINE=2000 fence 7 ${DISK}`,
      });
      expect(verdictOf(out)).toBe('not-drained');
    });
  },
);
