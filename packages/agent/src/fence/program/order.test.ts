import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import {
  DISK,
  HOST,
  NONCE,
  OTHER,
  BASH_PROGRAM,
  VM,
  linesOf,
  onBothPrograms,
  onProgram,
  useTools,
  verdictOf,
} from '../../../test/fenceProgramHost.js';

useTools();

onBothPrograms('the fence program: orders and answers', (play) => {
  test('F22: kills, verifies, and its last line is the proof: nonce, host, boot, root, control', async () => {
    const { out } = await play({
      script: `qemu -uuid $VM -fw_cfg $(mark 7); fence 7 ${DISK}; alive $LAST qemu`,
    });
    expect(out[0]).toMatch(/^fenceline-fence 1( line=1)?$/);
    expect(linesOf(out, 'pid')[0]).toMatch(/^pid \S+ \d+ \d+ epoch=7 role=qemu$/);
    expect(verdictOf(out)).toBe('dead');
    expect(out.at(-2)).toMatch(
      new RegExp(`^end ${NONCE} host=${HOST} boot=[0-9a-f-]{36} pidns=\\d+ uid=0 control=ok`),
    );
    expect(out.at(-1)).toBe('gone qemu');
  });

  test('F22: asked twice it says the same', async () => {
    const { out } = await play({ script: `qemu -uuid $VM; fence 7 ${DISK}; fence 7 ${DISK}` });
    expect(linesOf(out, 'verdict').map((line) => line.split(' ')[2])).toEqual(['dead', 'dead']);
  });

  test('F17: 500 VMs in one pass, a verdict each, no leak between them', async () => {
    // Time to be right on a machine with much other work; how slow it is, its use of the processor tells.
    const { out } = await play({
      limitMs: 75_000,
      script: `
        for i in {0..29}; do
          printf -v u '22222222-2222-3333-4444-%012d' $i
          ( exec -a qemu-system-x86_64 bash -c "$SPIN" -uuid $u -fw_cfg $(mark $((i % 2 ? 7 : 9))) ) &
        done
        qemus() { grep -lz '^qemu-system' /proc/[0-9]*/cmdline 2>/dev/null | wc -l; }
        until [[ $(qemus) == 30 ]]; do sleep 0.05; done; TIMEFORMAT='cpu %U %S'
        { echo 'fenceline-peer 1'; echo 'fence ${NONCE} token=- deadline_ms=60000 vms=500 grace_ms=50'
          for i in {0..499}; do
            d=; ((i < 60)) && d=" disk=file:$PWD/img"; ((i == 3)) && d=' disk=file:/nowhere'
            printf 'vm 22222222-2222-3333-4444-%012d epoch=7%s\\n' $i "$d"
          done; } >order.txt
        { time $PROGRAM <order.txt; } 2>&1; qemus`,
    });
    const verdicts = linesOf(out, 'verdict');
    expect(verdicts).toHaveLength(500);
    expect(verdicts.filter((line) => line.split(' ')[2] !== 'dead')).toEqual([
      expect.stringContaining('22222222-2222-3333-4444-000000000003 not-drained'),
    ]);
    expect(linesOf(out, 'pid')).toHaveLength(30);
    expect(out.at(-1)).toBe('15');
    const [user = NaN, system = NaN] =
      linesOf(out, 'cpu')[0]?.split(' ').slice(1).map(Number) ?? [];
    expect(user + system).toBeLessThan(10);
  }, 90_000);

  test.each([
    ['fenceline-peer 2', 'version'],
    ['garbage', 'version'],
    ['', 'version'],
  ])('F18: first line %j is refused', async (line, reason) => {
    const { out } = await play({ script: `printf '%s\\n' '${line}' | $PROGRAM` });
    expect(out.at(-1)).toMatch(new RegExp(`^refused ${reason}`));
  });

  const HEAD = `fence ${NONCE} token=- deadline_ms=900 vms=1`;

  test.each([
    ['fence xyz token=- deadline_ms=900 vms=1', `vm ${VM} epoch=7`, 'bad-order'],
    [`kill ${NONCE} token=- deadline_ms=900 vms=1`, `vm ${VM} epoch=7`, 'bad-order'],
    [`fence ${NONCE} token=- deadline_ms=0x9 vms=1`, `vm ${VM} epoch=7`, 'bad-order'],
    [`fence ${NONCE} token=- deadline_ms=900000 vms=1`, `vm ${VM} epoch=7`, 'bad-order'],
    [`fence ${NONCE} token=- deadline_ms=900 vms=501`, `vm ${VM} epoch=7`, 'too-many'],
    [`fence ${NONCE} token=zz deadline_ms=900 vms=1`, `vm ${VM} epoch=7`, 'bad-token'],
    [HEAD, `vm ${VM}x epoch=7`, 'bad-vm'],
    [HEAD, `vm ${VM.replace('1', '*')} epoch=7`, 'bad-vm'],
    [HEAD, `vm ../../../../etc/cron.d/x epoch=7`, 'bad-vm'],
    [HEAD, `vm ${VM} epoch=a[\\$(touch owned)]`, 'bad-vm'],
    [HEAD, `vm ${VM} epoch=007`, 'bad-vm'],
    [HEAD, `vm ${VM} epoch=7 disk=file:relative`, 'bad-disk'],
    [HEAD, `vm ${VM} epoch=7 disk=file:/x;touch%20owned`, 'bad-disk'],
    [HEAD, `vm ${VM} epoch=7 disk=file:/x%0Atouch`, 'bad-disk'],
    [HEAD, `vm ${VM} epoch=7 disk=file:/\\$(touch owned)`, 'bad-disk'],
    [`fence ${NONCE} token=- deadline_ms=900 vms=2`, `vm ${VM} epoch=7`, 'no-order'],
  ])('F18: order %s / %s is refused as %s', async (head, line, reason) => {
    const { out } = await play({
      script: `printf '%s\\n' 'fenceline-peer 1' '${head}' '${line}' | $PROGRAM; ls; ls run`,
    });
    expect(out[1]).toMatch(new RegExp(`^refused ${reason}`));
    expect(out.join(' ')).not.toContain('owned');
    expect(out).not.toContain('barriers');
  });

  test('F18: the same VM twice, an endless line and a source with spaces', async () => {
    const twice = await play({
      script: `printf '%s\\n' 'fenceline-peer 1' 'fence ${NONCE} token=- deadline_ms=900 vms=2' "vm $VM epoch=7" "vm $VM epoch=8" | $PROGRAM`,
    });
    expect(twice.out[1]).toMatch(/^refused bad-vm/);
    const endless = await play({
      script: `{ echo 'fenceline-peer 1'; head -c 400000 /dev/zero | tr '\\0' x; } | $PROGRAM`,
    });
    expect(endless.out[1]).toMatch(/^refused too-long/);
    const spaces = await play({
      script: `cp img "a \\$(touch owned) b"; fence 7 "disk=file:$PWD/a%20%24%28touch%20owned%29%20b"; ls`,
    });
    expect(verdictOf(spaces.out)).toBe('dead');
    expect(spaces.out).not.toContain('owned');
  });

  test('F18: as a forced command it ignores what the peer asked the shell to run', async () => {
    const { out } = await play({
      script: `export SSH_ORIGINAL_COMMAND='touch owned'; order 7 | $PROGRAM 'touch owned'; ls`,
    });
    expect(verdictOf(out)).toBe('dead');
    expect(out).not.toContain('owned');
  });

  test('I3: an order for another host ends before a barrier is set or anything is killed', async () => {
    const { out } = await play({
      script: `qemu -uuid $VM; HEAD=host=${OTHER} fence 7 ${DISK}; alive $LAST qemu; cat run/barriers/$VM`,
    });
    expect(out[1]).toMatch(/^refused wrong-host/);
    expect(out.at(-1)).toBe('alive qemu');
  });

  test('count looks in the same way, and does nothing', async () => {
    const { out } = await play({
      script: `qemu -uuid $VM; MODE=count fence 7 ${DISK}; alive $LAST qemu; ls run/barriers; ls state; cat virsh.log`,
    });
    expect(linesOf(out, 'pid')).toHaveLength(1);
    expect(linesOf(out, 'verdict')).toEqual([]);
    expect(out.at(-2)).toMatch(/^end .* control=ok/);
    expect(out.at(-1)).toBe('alive qemu');
  });
});

// The native program has no such helpers: nativeFaults.test.ts breaks its calls instead.
onProgram('bash', 'the fence program: what hangs is what only this one needs', (play) => {
  test('F25: a clock that can not be read ends it, it never waits for ever', async () => {
    const { out } = await play({
      script: `
        DEADLINE=3000 order 7 ${DISK} >order.txt
        ( export LD_PRELOAD=$TOOLS/ENOMEM.so ENOMEM_AT=/proc/uptime; $PROGRAM <order.txt )`,
    });
    expect(out.at(-1)).toMatch(/^refused no-clock/);
  });

  test('F25: where every look is late because the host is slow, it is done before its deadline', async () => {
    const { out } = await play({
      script: `
        sed 's/LOOK_EVERY=250/LOOK_EVERY=0/' $PROGRAM >slow; grep -c LOOK_EVERY=0 slow
        DEADLINE=15000 order 7 ${DISK} | bash slow`,
    });
    expect(out[0]).toBe('1');
    expect(verdictOf(out)).toBe('dead');
    expect(Number(/ drain_ms=(\d+)/.exec(out.at(-1) ?? '')?.[1])).toBeLessThan(10_000);
  });

  test('F25: the deadline holds when virsh and sync hang, and nothing is left running', async () => {
    const { out } = await play({
      virsh: 'hang',
      script: `
        printf '#!/bin/bash\\nexec sleep 1000\\n' >bin/sync; chmod +x bin/sync
        qemu -uuid $VM; begun=$(date +%s%N); DEADLINE=1500 fence 7 ${DISK}
        echo "took $(( ($(date +%s%N) - begun) / 1000000 ))"
        sleep 0.1; ps -e -o args= | grep -c '[s]leep 1000'; ls run`,
    });
    expect(verdictOf(out)).toBe('not-drained');
    expect(Number(linesOf(out, 'took')[0]?.split(' ')[1])).toBeLessThan(2_000);
    expect(out).toContain('0');
    expect(out.filter((line) => line.startsWith('fence.'))).toEqual([]);
  });

  test('F25: a program that hangs itself is ended by its watchdog', async () => {
    const { out } = await play({
      script: `
        mkfifo run/runs.fifo; mkdir run/runs; mkfifo run/runs/$VM
        begun=$(date +%s%N); DEADLINE=700 fence 7 ${DISK}
        echo "took $(( ($(date +%s%N) - begun) / 1000000 ))"`,
    });
    expect(Number(linesOf(out, 'took')[0]?.split(' ')[1])).toBeLessThan(1_500);
    expect(linesOf(out, 'end')).toEqual([]);
  });
});

test('the program stays one readable file', () => {
  const text = readFileSync(BASH_PROGRAM, 'utf8');
  expect(text.split('\n').length).toBeLessThan(1_050);
  expect(text).not.toMatch(/eval |SSH_ORIGINAL_COMMAND[^;]*\$/);
});
