import { spawnSync } from 'node:child_process';
import { expect, test } from '@jest/globals';
import {
  DISK,
  NATIVE,
  NONCE,
  OTHER,
  linesOf,
  onProgram,
  useTools,
  verdictOf,
} from '../../../test/fenceProgramHost.js';

// What the native program promises beyond the one in bash (packages/native/README.md).

useTools();

interface Call {
  pid: string;
  name: string;
  text: string;
}
/** Lines of `strace -f`: "PID name(arguments) = result". */
function callsIn(lines: readonly string[]): Call[] {
  return lines.flatMap((text) => {
    const [, pid = '', name = ''] = /^(\d+) +(?:<\.\.\. )?([a-z_0-9]+)[( ]/.exec(text) ?? [];
    return pid === '' ? [] : [{ pid, name, text }];
  });
}
/** Files by which a call names them, where it names one by its path. */
const pathIn = ({ text }: Call): string | undefined => /\((?:AT_FDCWD, )?"([^"]*)"/.exec(text)?.[1];

onProgram('native', 'what it asks of the kernel', (play) => {
  test('F26: after set-up the main process starts nothing, takes no memory, opens nothing on a disk', async () => {
    const { out } = await play({
      virsh: 'running',
      script: `
        qemu -uuid $VM; mkdir run/runs run/grants; echo "7 $LAST $(starttime $LAST)" >run/runs/$VM
        { DEADLINE=15000 GRACE=1500 order 7 ${DISK} disk=rbd:pool/image; } >order.txt
        strace -f -qq -s 300 -e trace=%process,%file,%memory,memfd_create,fdatasync,write -o trace $PROGRAM <order.txt
        echo "run $PWD/run"; cat trace`,
    });
    expect(verdictOf(out)).toBe('dead');
    const runDir = linesOf(out, 'run')[0]?.slice(4) ?? '';
    const calls = callsIn(out);
    const main = calls[0]?.pid;
    const ready = calls.findIndex(
      ({ pid, text }) => pid === main && text.includes('"fenceline-fence 1 line=1'),
    );
    expect(ready).toBeGreaterThan(0);
    const [own, others] = [true, false].map((isMain) =>
      calls.slice(ready).filter(({ pid }) => (pid === main) === isMain),
    );
    // It did all that there is to do, and helpers did what needs a disk or a program.
    expect(others?.filter(({ text }) => /execve\("[^"]*virsh"/.test(text)).length).toBeGreaterThan(
      1,
    );
    expect(others?.some(({ name }) => name === 'fdatasync')).toBe(true);
    const forbidden =
      /^(?:execve|execveat|fork|vfork|clone3?|mmap|brk|mremap|memfd_create|fsync|fdatasync)$/;
    expect(own?.filter(({ name }) => forbidden.test(name))).toEqual([]);
    const inMemory = ['/proc', '/sys/block', '/run/libvirt/qemu', runDir];
    const paths = [...new Set(own?.map(pathIn).filter((path) => path?.startsWith('/')))];
    expect(paths.length).toBeGreaterThan(10);
    expect(
      paths.filter(
        (path) => !inMemory.some((root) => path === root || path?.startsWith(`${root}/`)),
      ),
    ).toEqual([]);
  });

  test('F26: it is small, whole and locked before the order comes, and with 500 VMs', async () => {
    const { out } = await play({
      script: `
        mkfifo in; $PROGRAM <in >said & PROGRAM_PID=$!; exec 7>in
        until [[ -s said ]]; do sleep 0.01; done
        measure() { sed -n "s/^Rss: */$1 /p; s/^Locked: */locked /p" /proc/$PROGRAM_PID/smaps_rollup; }
        ( echo -1000 >/proc/$BASHPID/oom_score_adj ) 2>/dev/null && echo may
        measure before; echo "oom $(cat /proc/$PROGRAM_PID/oom_score_adj)"
        { echo 'fenceline-peer 1'; echo 'count ${NONCE} token=- deadline_ms=9000 vms=500'
          for i in {0..499}; do
            printf 'vm 22222222-2222-3333-4444-%012d epoch=7' $i
            for d in a b; do printf ' disk=file:/var/lib/libvirt/images/pool-of-images/a-vm-%d-%s.qcow2' $i $d; done
            echo
          done; } >&7; until grep -q ^end said; do sleep 0.01; done
        measure after; exec 7>&-`,
    });
    const kib = (word: string): number => Number(linesOf(out, word).at(-1)?.split(' ')[1]);
    expect(kib('before')).toBeLessThan(4_096);
    expect(kib('after')).toBeLessThan(6_144);
    if (process.getuid?.() !== 0) return;
    expect(kib('locked')).toBeGreaterThan(1_024);
    // Some containers let nobody lower it.
    expect(out).toContain(`oom ${linesOf(out, 'may').length > 0 ? -1000 : 0}`);
  });

  test.each([
    ['ln img other; exec 3>>other', 'other-writer', 'a hard link'],
    [
      'mkdir m; mount --bind . m; exec 3>>m/img',
      'other-writer',
      'a bind mount, in a mount namespace of its own',
    ],
    ['ln img other; exec 3<other', 'dead', 'a reader'],
    ['cp img other; exec 3>>other', 'dead', 'another file'],
    [
      'mkdir m; mount -t tmpfs t m; : >m/a; until [[ $(stat -c %i m/a) -ge 9 ]]; do rm m/a; : >m/a; done; exec 3>>m/a',
      'dead',
      'a file of another file system',
    ],
  ])('F20a: a writer by another name: %s: %s (%s)', async (opens, verdict) => {
    const { out } = await play({
      script: `unshare --mount bash -c '${opens}; exec -a backup bash -c "$1"' _ "$SPIN" & LAST=$!
        # Any other file with this number is one that a program has while it is being loaded.
        until [[ $(readlink /proc/$LAST/fd/3) == */@(img|other|m/a|a) ]]; do sleep 0.01; done
        fence 7 ${DISK}; echo $LAST`,
    });
    expect(verdictOf(out)).toBe(verdict);
    expect(linesOf(out, 'writer')).toHaveLength(verdict === 'dead' ? 0 : 1);
  });

  test('F19: what libvirt does not know is killed at once: the grace is for its destroy', async () => {
    const { out } = await play({
      script: `qemu -uuid $VM; DEADLINE=15000 GRACE=10000 fence 7 ${DISK}; alive $LAST qemu`,
    });
    expect(verdictOf(out)).toBe('dead');
    expect(Number(/ kill_ms=(\d+) /.exec(out.at(-2) ?? '')?.[1])).toBeLessThan(8_000);
  });

  test('F21: handles of many processes leave the files that a look needs', async () => {
    const { out } = await play({
      script: `for i in {1..40}; do ( exec -a qemu-system-x86_64 bash -c "$SPIN" -uuid $VM ) & done; sleep 0.4
        ulimit -n 50; fence 7 ${DISK}; ps -e -o args= | grep -c '^[q]emu-system'`,
    });
    expect(linesOf(out, 'pid').length).toBeGreaterThanOrEqual(40);
    expect(verdictOf(out)).toBe('dead');
    expect(out.at(-1)).toBe('0');
  });

  test('F35: the records of many VMs come from one list: a newer run is left alone', async () => {
    const { out } = await play({
      script: `
        qemu -uuid $VM; mkdir run/runs; echo "8 $LAST $(starttime $LAST)" >run/runs/$VM
        echo "8 1 1" >run/runs/${OTHER.replace('1', '2')}; touch run/runs/x
        { order 7 | sed 's/vms=1/vms=40/'
          for i in {1..39}; do printf 'vm 22222222-2222-3333-4444-%012d epoch=7\\n' $i; done; } >order.txt
        $PROGRAM <order.txt; alive $LAST newer`,
    });
    expect(out.at(-1)).toBe('alive newer');
    expect(linesOf(out, 'pid')).toEqual([expect.stringMatching(/epoch=8/)]);
    expect(linesOf(out, 'verdict')).toHaveLength(40);
  });
});

onProgram('dynamic', 'what it does without', (play) => {
  test('F21: whoever becomes a qemu between two looks is seen, under the same number', async () => {
    const { out } = await play({
      script: `
        ( until [[ -e at ]]; do sleep 0.01; done
          exec -a qemu-system-x86_64 bash -c "touch go; $SPIN" -uuid $VM ) & SECOND=$!; BORN=$(starttime $SECOND)
        order 7 ${DISK} >order.txt
        env LD_PRELOAD=$INJECT INJECT_DIR=$PWD INJECT_CALL=readlink INJECT_PATH=/proc/1/fd/ INJECT_DO=gate \
          $PROGRAM <order.txt; alive $SECOND second; echo "born $SECOND $BORN"`,
    });
    const born = out.at(-1)?.slice(5);
    expect(out.at(-2)).toBe('gone second');
    expect(linesOf(out, 'pid').filter((line) => line.includes(` ${born} `))).toHaveLength(1);
    expect(verdictOf(out)).toBe('dead');
  });

  test('F20: without handles of processes (an old kernel) it still kills and proves', async () => {
    const { out } = await play({
      script: `
        qemu -uuid $VM; order 7 ${DISK} >order.txt
        env LD_PRELOAD=$INJECT INJECT_CALL=pidfd_open INJECT_DO=38 $PROGRAM <order.txt; alive $LAST qemu`,
    });
    expect(verdictOf(out)).toBe('dead');
    expect(out.at(-1)).toBe('gone qemu');
  });

  const LONG = `$(printf 'x%.0s' {1..3000})`;

  test.each([
    ['-uuid $OTHER -x', 'alive qemu', 'dead', 'it names another VM before the cut'],
    [
      `-x ${LONG} -x ${LONG} -uuid $OTHER`,
      'alive qemu',
      'unattributed',
      'whose it is stands behind',
    ],
    [
      `-uuid $VM -x ${LONG} -x ${LONG} -fw_cfg $(mark 8)`,
      'alive qemu',
      'unattributed',
      'so does its epoch',
    ],
  ])(
    'F21, F35: where memory is short the kernel gives a part of the arguments: qemu %s: %s, %s: %s',
    async (args, fate, verdict) => {
      const { out } = await play({
        script: `
          qemu ${args}; DEADLINE=900 order 7 ${DISK} >order.txt
          env LD_PRELOAD=$INJECT INJECT_CALL=cut INJECT_PATH=/proc/$LAST/cmdline INJECT_DO=4096 $PROGRAM <order.txt
          alive $LAST qemu`,
      });
      expect(verdictOf(out)).toBe(verdict);
      expect(out.at(-1)).toBe(fate);
    },
  );

  test('F35: a list of records that is cut short kills nothing', async () => {
    const { out } = await play({
      script: `
        qemu -uuid $VM; mkdir run/runs; echo "8 $LAST $(starttime $LAST)" >run/runs/$VM
        { DEADLINE=900 order 7 | sed 's/vms=1/vms=40/'
          for i in {1..39}; do printf 'vm 22222222-2222-3333-4444-%012d epoch=7\\n' $i; done; } >order.txt
        env LD_PRELOAD=$INJECT INJECT_CALL=getdents INJECT_PATH=$PWD/run/runs INJECT_DO=12 $PROGRAM <order.txt
        alive $LAST newer`,
    });
    expect(out.at(-1)).toBe('alive newer');
    expect(verdictOf(out)).toBe('unattributed');
  });
});

test.each([
  ['check', 'the pure parts under the sanitizers'],
  ['fuzz', 'inputs changed at random, under the sanitizers'],
])(
  'F26: make %s: %s',
  (target) => {
    const { status, stdout, stderr } = spawnSync('make', ['-sC', NATIVE, target, 'N=100000'], {
      encoding: 'utf8',
    });
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^(?:\d{3,} checks, 0 failures|100000 inputs, no fault)\n$/);
  },
  60_000,
);
