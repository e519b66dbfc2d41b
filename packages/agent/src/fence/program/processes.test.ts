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

onBothPrograms('the fence program: whose process is it, and is it dead', (play) => {
  test('F19: libvirt is told first, then what is left is killed', async () => {
    const { out } = await play({
      virsh: 'running',
      script: `
        qemu -uuid $VM; export FENCELINE_LIBVIRT_URI=test:///x
        GRACE=1500 fence 7 ${DISK}; grep destroy virsh.log`,
    });
    expect(out.slice(-2)).toEqual([expect.stringMatching(/^end /), '-q -c test:///x destroy 5']);
    expect(verdictOf(out)).toBe('dead');
  });

  test.each([
    ['no number told', 'ok', ''],
    [
      "the number of another process's run",
      'running',
      '-chardev path=/x/domain-4-web/monitor.sock',
    ],
  ] as const)('F19: %s, no virsh destroy: it might hit a newer run', async (_why, virsh, args) => {
    const { out } = await play({
      virsh,
      script: `qemu -uuid $VM ${args}; fence 7 ${DISK}; alive $LAST qemu; grep -c destroy virsh.log`,
    });
    expect(verdictOf(out)).toBe('dead');
    expect(out.slice(-2)).toEqual(['gone qemu', '0']);
  });

  test('I3: a number that libvirt no longer knows is not taken for the name of another VM', async () => {
    const { out } = await play({
      virsh: 'running',
      script: `
        mv bin/virsh bin/virsh.real
        printf '%s\\n' '#!/bin/bash' 'printf "%q " "$@" >>"$SANDBOX/words.log"' \
          'exec "$SANDBOX/bin/virsh.real" "$@"' >bin/virsh
        chmod +x bin/virsh; qemu -uuid $VM; GRACE=1500 fence 7 ${DISK}; grep -o 'destroy.*' words.log`,
    });
    // The grace: two bashes play virsh here, and what answers after it gets no destroy.
    // A line feed can stand in no name; where a number is read it is skipped.
    expect(out.at(-1)).toMatch(/^destroy \$'\\n5'/);
  });

  test('F20: what only looks like the VM survives', async () => {
    const { out } = await play({
      script: `
        named tail -f /var/log/libvirt/qemu/$VM.log; TAIL=$LAST
        named vi -uuid $VM; EDITOR=$LAST
        qemu -uuid $OTHER; NEXT=$LAST
        qemu -uuid \${VM}7; LONGER=$LAST
        qemu -name guest=x-$VM -uuid $OTHER; NAMED=$LAST
        named /usr/bin/qemu-img convert -uuid $VM; IMG=$LAST
        fence 7
        alive $TAIL tail; alive $EDITOR editor; alive $NEXT next; alive $LONGER longer
        alive $NAMED named; alive $IMG img`,
    });
    expect(linesOf(out, 'gone')).toEqual([]);
    expect(linesOf(out, 'alive')).toHaveLength(6);
    expect(linesOf(out, 'pid')).toEqual([]);
  });

  test.each([
    ['-uuid $VM', 'dashed uuid'],
    ['-uuid ${VM//-/}', '32 hex digits'],
    ['-uuid ${VM^^}', 'upper case'],
    ['-name guest=$VM,debug-threads=on', 'a VM named by its uuid'],
    ['-name guest=web1 -S -uuid $VM', 'as libvirt starts it'],
  ])('F20: %s is this VM: %s', async (args) => {
    const { out } = await play({ script: `qemu ${args}; fence 7; alive $LAST qemu` });
    expect(out.at(-1)).toBe('gone qemu');
    expect(linesOf(out, 'pid')).toHaveLength(1);
  });

  test('F20: a qemu under another argv[0] is known by its executable', async () => {
    const { out } = await play({
      script: `
        cp /bin/bash ./qemu-system-x86_64
        ( exec -a vm-runner ./qemu-system-x86_64 -c "printf renamed >/proc/self/comm; $SPIN" -uuid $VM ) &
        LAST=$!; settle; until [[ $(</proc/$LAST/comm) == renamed ]]; do sleep 0.01; done
        rm ./qemu-system-x86_64
        fence 7; alive $LAST qemu`,
    });
    expect(out.at(-1)).toBe('gone qemu');
  });

  test('F20a: side processes of the VM are killed and verified with it', async () => {
    const { out } = await play({
      script: `
        named /usr/bin/swtpm socket --tpmstate dir=/var/lib/libvirt/swtpm/$VM/tpm2; TPM=$LAST
        named /usr/bin/swtpm socket --tpmstate dir=/var/lib/libvirt/swtpm/$OTHER/tpm2; THEIRS=$LAST
        fence 7; alive $TPM own; alive $THEIRS theirs`,
    });
    expect(out.slice(-2)).toEqual(['gone own', 'alive theirs']);
    expect(verdictOf(out)).toBe('dead');
  });

  test('F21: a qemu that SIGKILL does not end is alive at the deadline, never gone', async () => {
    const { out } = await play({
      unkillable: 'qemu',
      script: `DEADLINE=900 fence 7 ${DISK}`,
    });
    expect(verdictOf(out)).toBe('alive');
    expect(linesOf(out, 'pid')[0]).toMatch(/ 1 \d+ epoch=none/);
  });

  test('F21: a zombie leader with a live thread is alive, although its cmdline is empty', async () => {
    const { out } = await play({
      unkillable: 'zombieLeader',
      script: `
          until [[ $(cut -d' ' -f3 /proc/1/stat) == Z ]]; do sleep 0.01; done
          echo "cmdline $(wc -c </proc/1/cmdline)"; DEADLINE=900 fence 7 ${DISK}`,
    });
    expect(out[0]).toBe('cmdline 0');
    expect(linesOf(out, 'pid')[0]).toMatch(/ 1 \d+ epoch=none/);
    expect(verdictOf(out)).toBe('alive');
  });

  test('F21: a zombie alone is dead, reaped or not', async () => {
    const { out } = await play({
      script: `
        cat >keeper <<'KEEPER'
( exec -a qemu-system-x86_64 bash -c 'exec {f}<> <(:); while :; do read -t 1000 -u $f; done' -uuid $1 ) &
echo $! >keeper.pid; exec sleep 1000
KEEPER
        bash keeper $VM & until [[ -s keeper.pid ]]; do sleep 0.01; done; sleep 0.1
        fence 7 ${DISK}; cut -d' ' -f3 /proc/$(cat keeper.pid)/stat`,
    });
    expect(verdictOf(out)).toBe('dead');
    expect(linesOf(out, 'pid')).toHaveLength(1);
    expect(out.at(-1)).toBe('Z');
  });

  test('F21: a qemu that can not be attributed counts as alive for every VM', async () => {
    const { out } = await play({
      script: `
          cp $TOOLS/WIPED ./qemu-system-x86_64; ./qemu-system-x86_64 -uuid $OTHER & LAST=$!
          until [[ -z $(tr -d '\\0' </proc/$LAST/cmdline) ]]; do sleep 0.01; done
          DEADLINE=900 fence 7 ${DISK}; alive $LAST qemu`,
    });
    expect(verdictOf(out)).toBe('unattributed');
    expect(out.at(-1)).toBe('alive qemu');
  });

  test('F21: without memory to look at one process nothing is dead', async () => {
    const { out } = await play({
      script: `
        qemu -uuid $VM
        export DEADLINE=900
        order 7 ${DISK} >order.txt
        ( export LD_PRELOAD=$TOOLS/ENOMEM.so ENOMEM_IN=fenceline-fence ENOMEM_AT=/proc/$LAST/; $BREAKABLE <order.txt )
        alive $LAST qemu`,
    });
    expect(verdictOf(out)).not.toBe('dead');
    expect(verdictOf(out)).not.toBe('none');
    expect(linesOf(out, 'end')).toHaveLength(1);
  });

  test('F21: a qemu that was seen and can not be looked at any more is alive, not gone', async () => {
    const { out } = await play({
      unkillable: 'qemu',
      virsh: 'running',
      script: `
          export DEADLINE=900; order 7 ${DISK} >order.txt
          env LD_PRELOAD=$TOOLS/ENOMEM.so ENOMEM_AT=/proc/1/stat ENOMEM_WHEN=$PWD/destroyed \
            $BREAKABLE <order.txt`,
    });
    expect(linesOf(out, 'pid')).toHaveLength(1);
    expect(verdictOf(out)).toBe('alive');
  });
});

// The native program has no such helpers: nativeFaults.test.ts breaks its calls instead.
onProgram(
  'bash',
  'the fence program: what is faked are its find and its globs, or waits for it to be slow',
  (play) => {
    test('F21: after the death it looks once more and finds what was started meanwhile', async () => {
      const { out } = await play({
        script: `
        qemu -uuid $VM; FIRST=$LAST
        ( while kill -0 $FIRST 2>/dev/null; do :; done
          exec -a qemu-system-x86_64 bash -c "$SPIN" -uuid $VM ) & SECOND=$!
        fence 7 ${DISK} | tee told; alive $SECOND second
        for pid in $FIRST $SECOND; do grep -c "^pid $VM $pid " told; done`,
      });
      expect({ out, end: out.slice(-3) }).toMatchObject({ end: ['gone second', '1', '1'] });
      expect(verdictOf(out)).toBe('dead');
    });

    test('F21: without memory for the list of processes nothing is dead', async () => {
      const { out } = await play({
        script: `
        qemu -uuid $VM
        export DEADLINE=900
        order 7 ${DISK} >order.txt
        ( export LD_PRELOAD=$TOOLS/ENOMEM.so ENOMEM_IN=fenceline-fence ENOMEM_DIR=/proc; $BREAKABLE <order.txt )
        alive $LAST qemu`,
      });
      expect(verdictOf(out)).not.toBe('dead');
      expect(verdictOf(out)).not.toBe('none');
      expect(linesOf(out, 'end')).toHaveLength(1);
    });

    test('F21: at the end of it all it looks once more', async () => {
      const { out } = await play({
        script: `
        cat >bin/find <<'FIND'
#!/bin/bash
touch "$SANDBOX/scanning"; until [[ -e "$SANDBOX/second" ]]; do sleep 0.01; done
exec /usr/bin/find "$@"
FIND
        chmod +x bin/find
        ( until [[ -e scanning ]]; do sleep 0.01; done
          exec -a qemu-system-x86_64 bash -c "touch second; $SPIN" -uuid $VM ) & SECOND=$!
        fence 7 ${DISK}; alive $SECOND second`,
      });
      expect(out.at(-1)).toBe('gone second');
      expect(verdictOf(out)).toBe('dead');
    });
  },
);
