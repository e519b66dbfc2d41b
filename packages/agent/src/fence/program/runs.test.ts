import { expect, test } from '@jest/globals';
import {
  DISK,
  linesOf,
  onBothPrograms,
  OTHER,
  useTools,
  verdictOf,
} from '../../../test/fenceProgramHost.js';

useTools();

const LIBVIRTD = `
  ( exec -a /usr/sbin/libvirtd bash -c "printf libvirtd >/proc/\\$\\$/comm; $SPIN" ) & DAEMON=$!
  until [[ $(cat /proc/$DAEMON/comm) == libvirtd && $(tr '\\0' ' ' </proc/$DAEMON/cmdline) == */libvirtd* ]]; do sleep 0.01; done`;

onBothPrograms('the fence program: runs, starts and libvirt', (play) => {
  test('F35: the record of the run attributes a qemu that has no arguments; only that pid and start time', async () => {
    const wiped = `
        cp $TOOLS/WIPED ./qemu-system-x86_64; ./qemu-system-x86_64 x & LAST=$!
        until [[ -z $(tr -d '\\0' </proc/$LAST/cmdline) ]]; do sleep 0.01; done; mkdir run/runs`;
    const known = await play({
      script: `${wiped}
          echo "7 $LAST $(starttime $LAST)" >run/runs/$VM; fence 7 ${DISK}; alive $LAST qemu`,
    });
    expect(verdictOf(known.out)).toBe('dead');
    expect(known.out.at(-1)).toBe('gone qemu');
    const reused = await play({
      script: `${wiped}
          echo "7 $LAST 1" >run/runs/$VM; DEADLINE=900 fence 7 ${DISK}; alive $LAST qemu`,
    });
    expect(verdictOf(reused.out)).toBe('unattributed');
    expect(reused.out.at(-1)).toBe('alive qemu');
  });

  test('F21: nothing found counts only if libvirt answered, else its daemon is killed first', async () => {
    const answered = await play({ script: `${LIBVIRTD}; fence 7 ${DISK}; alive $DAEMON daemon` });
    expect(verdictOf(answered.out)).toBe('dead');
    expect(answered.out.at(-1)).toBe('alive daemon');
    for (const virsh of ['hang', 'dead', 'running'] as const) {
      const { out } = await play({
        virsh,
        script: `${LIBVIRTD}; fence 7 ${DISK}; alive $DAEMON daemon`,
      });
      expect([virsh, verdictOf(out), out.at(-1)]).toEqual([virsh, 'dead', 'gone daemon']);
    }
  });

  test('F21: where no daemon is, nobody is asked to the end of the time', async () => {
    const { out } = await play({ virsh: 'dead', script: `DEADLINE=20000 fence 7 ${DISK}` });
    expect(verdictOf(out)).toBe('dead');
    // A quarter of the deadline is for questions; a connection that is refused at once ends them.
    expect(Number(/verify_ms=(\d+)/.exec(out.join(' '))?.[1])).toBeLessThan(2_500);
  });

  test('F21: a daemon that refuses for now is there: it is asked to the end, then ended', async () => {
    const { out } = await play({
      virsh: 'dead',
      script: `${LIBVIRTD}; fence 7 ${DISK}; alive $DAEMON daemon`,
    });
    expect(out.at(-1)).toBe('gone daemon');
    expect(Number(/verify_ms=(\d+)/.exec(out.join(' '))?.[1])).toBeGreaterThan(800);
  });

  test('F21: "no such VM" is an answer of libvirt, but not over a connection that breaks', async () => {
    for (const [virsh, daemon] of [
      ['unknown', 'alive daemon'],
      ['broken', 'gone daemon'],
    ] as const) {
      const { out } = await play({
        virsh,
        script: `${LIBVIRTD}; fence 7 ${DISK}; alive $DAEMON daemon`,
      });
      expect([virsh, verdictOf(out), out.at(-1)]).toEqual([virsh, 'dead', daemon]);
    }
  });

  test('F34: a child of libvirt that is not a qemu yet may become one: not dead while it is there', async () => {
    const { out } = await play({
      virsh: 'hang',
      script: `${LIBVIRTD}
        ( exec -a /usr/sbin/libvirtd bash -c "printf rpc-libvirtd >/proc/\\$\\$/comm; $SPIN" ) & CHILD=$!
        until [[ $(cat /proc/$CHILD/comm) == rpc-libvirtd ]]; do sleep 0.01; done
        DEADLINE=2500 fence 7 ${DISK}; alive $DAEMON daemon; alive $CHILD child`,
    });
    expect(verdictOf(out)).toBe('unattributed');
    expect(out.slice(-2)).toEqual(['gone daemon', 'alive child']);
  });

  test('F34: the barrier is set before libvirt is asked, on disk and in memory, and only grows', async () => {
    const { out } = await play({
      script: `
        mkdir -p run/barriers state/barriers; echo 9 >run/barriers/$VM; echo 3 >state/barriers/$VM
        fence 7 ${DISK}; cat run/barriers/$VM state/barriers/$VM barrier.at.ask
        echo >run/barriers/$VM; rm run/barriers/$VM; fence 7; cat run/barriers/$VM`,
    });
    const text = out.join('\n');
    expect(verdictOf(out)).toBe('dead');
    expect(text).toMatch(/\n9\n7\n9\n/);
    expect(out.at(-1)).toBe('7');
    expect(linesOf(out, 'verdict')[0]).toMatch(/barrier=disk$/);
  });

  test('F34: no disk, a barrier in memory, and the answer says so', async () => {
    const { out } = await play({ script: `rmdir state; echo x >state; fence 7 ${DISK}` });
    expect(linesOf(out, 'verdict')[0]).toMatch(/ dead barrier=memory$/);
  });

  test('F34: no barrier at all, then nothing is dead and the control failed', async () => {
    for (const setup of [
      `mkdir -p run/barriers/$VM`,
      `mkdir -p run/barriers; echo garbage >run/barriers/$VM`,
    ]) {
      const { out } = await play({
        script: `${setup}; qemu -uuid $VM; DEADLINE=1500 fence 7 ${DISK}; alive $LAST qemu`,
      });
      expect(verdictOf(out)).toBe('not-drained');
      expect(out.at(-2)).toMatch(/control=no-barrier/);
      expect(out.at(-1)).toBe('gone qemu');
    }
  });

  test('F34: a start that is under way is ended; a newer one is left alone', async () => {
    const { out } = await play({
      script: `
        mkdir run/grants
        named virsh create; OLD=$LAST; echo "7 $OLD $(starttime $OLD)" >run/grants/$VM
        fence 7 ${DISK}; alive $OLD old
        named virsh create; NEW=$LAST; echo "8 $NEW $(starttime $NEW)" >run/grants/$VM
        fence 7 ${DISK}; alive $NEW new
        named virsh create; REUSED=$LAST; echo "7 $REUSED 1" >run/grants/$VM
        fence 7 ${DISK}; alive $REUSED reused`,
    });
    expect(out.filter((line) => /^(alive|gone) /.test(line))).toEqual([
      'gone old',
      'alive new',
      'alive reused',
    ]);
    expect(linesOf(out, 'verdict').map((line) => line.split(' ')[2])).toEqual([
      'dead',
      'dead',
      'dead',
    ]);
  });

  // libvirt runs what waits in its queue even if its virsh was killed, once a worker is free.
  const QUEUED = `
    ( exec -a /usr/sbin/libvirtd bash -c 'printf libvirtd >/proc/$$/comm; exec {f}<> <(:)
        until [[ -e storage ]]; do read -t 0.05 -u $f; done
        exec -a qemu-system-x86_64 bash -c "$1" -uuid "$2"' _ "$SPIN" $VM ) & DAEMON=$!
    until [[ $(cat /proc/$DAEMON/comm) == libvirtd ]]; do sleep 0.01; done; mkdir run/grants`;

  test.each([
    ['echo "7 999999 1" >run/grants/$VM', 'its virsh was killed when its time was over'],
    [
      'named virsh create; echo "7 $LAST $(starttime $LAST)" >run/grants/$VM',
      'its virsh is killed by this fence',
    ],
  ])('F34: "shut off" settles no start that waits in libvirt: %s (%s)', async (grant) => {
    const { out } = await play({
      script: `${QUEUED}; ${grant}
        DEADLINE=20000 fence 7 ${DISK}
        touch storage; sleep 0.3; alive $DAEMON daemon; ps -e -o args= | grep -c '[q]emu-system'`,
    });
    expect(verdictOf(out)).toBe('dead');
    expect(out.slice(-2)).toEqual(['gone daemon', '0']);
    // Nobody is asked for a quarter of the deadline first.
    expect(Number(/verify_ms=(\d+)/.exec(out.join(' '))?.[1])).toBeLessThan(2_500);
  });

  test('F34: a start above the order is not what this fence has to end, nor is its daemon', async () => {
    const { out } = await play({
      script: `${QUEUED}; echo "8 999999 1" >run/grants/$VM
        fence 7 ${DISK}; alive $DAEMON daemon`,
    });
    expect(verdictOf(out)).toBe('dead');
    expect(out.at(-1)).toBe('alive daemon');
  });

  test.each([
    [900, 'alive', 'libvirt has settled the other VM'],
    [2500, 'gone', 'when the time for questions is over, for the first one'],
  ])('F17: a start whose virsh does not die, %d ms: daemon %s: %s', async (ms, daemon) => {
    const { out } = await play({
      script: `${QUEUED}; echo "7 1 $(starttime 1)" >run/grants/$VM
        { DEADLINE=${ms} order 7 | sed 's/vms=1/vms=2/'; echo "vm $OTHER epoch=7 ${DISK}"; } |
          $PROGRAM
        alive $DAEMON daemon`,
    });
    expect([verdictOf(out), verdictOf(out, OTHER)]).toEqual(['alive', 'dead']);
    expect(out.at(-1)).toBe(`${daemon} daemon`);
  });

  test('F17: a daemon that hangs in storage does not die: the VMs that it answered for are settled', async () => {
    const { out } = await play({
      unkillable: 'libvirtd',
      script: `printf libvirtd >/proc/1/comm; mkdir run/grants; echo "7 999999 1" >run/grants/$VM
        { DEADLINE=2500 order 7 | sed 's/vms=1/vms=2/'; echo "vm $OTHER epoch=7 ${DISK}"; } |
          $PROGRAM`,
    });
    expect([verdictOf(out), verdictOf(out, OTHER)]).toEqual(['unattributed', 'dead']);
  });

  test('F21: a daemon that could not be looked at is not one that is not there', async () => {
    const { out } = await play({
      virsh: 'hang',
      script: `${QUEUED}; echo "7 999999 1" >run/grants/$VM; touch blind
          order 7 ${DISK} >order.txt; ( sleep 0.6; rm blind ) &
          env LD_PRELOAD=$TOOLS/ENOMEM.so ENOMEM_AT=/proc/$DAEMON/ ENOMEM_WHEN=$PWD/blind \
            $BREAKABLE <order.txt; alive $DAEMON daemon`,
    });
    expect(verdictOf(out)).toBe('dead');
    expect(out.at(-1)).toBe('gone daemon');
  });

  test('F34: a record of a start that can not be read keeps the VM from being dead', async () => {
    const { out } = await play({
      script: `mkdir run/grants; echo nonsense >run/grants/$VM; DEADLINE=900 fence 7 ${DISK}`,
    });
    expect(verdictOf(out)).toBe('unattributed');
  });

  test.each([
    ['-fw_cfg $(mark 8)', '', 'alive', 'a newer run is left alone'],
    ['-fw_cfg $(mark 7)', '', 'gone', 'the run itself'],
    ['-fw_cfg $(mark 6)', '', 'gone', 'an older run'],
    ['', '', 'gone', 'no mark at all counts as old'],
    ['', '8', 'alive', 'the record of a run that bears no mark'],
    ['-fw_cfg $(mark 7)', '8', 'gone', 'arguments win over the record'],
  ])('F35: %s, record "%s": %s (%s)', async (args, record, expected) => {
    const { out } = await play({
      script: `
        qemu -uuid $VM ${args}; mkdir run/runs
        [[ -z "${record}" ]] || echo "${record} $LAST $(starttime $LAST)" >run/runs/$VM
        fence 7 ${DISK}; alive $LAST qemu`,
    });
    expect(out.at(-1)).toBe(`${expected} qemu`);
    expect(linesOf(out, 'pid')).toHaveLength(1);
    expect(verdictOf(out)).toBe('dead');
  });

  const SWTPM = `named /usr/bin/swtpm socket --tpmstate dir=/var/lib/libvirt/swtpm/$VM/tpm2; TPM=$LAST`;
  const NEWER = 'exec -a qemu-system-x86_64 bash -c "$SPIN" -uuid $VM -fw_cfg $(mark 8)';

  test('F35: side processes of a newer run, older than its qemu, are left alone', async () => {
    const { out } = await play({
      script: `${SWTPM}; qemu -uuid $VM -fw_cfg $(mark 8)
        fence 7 ${DISK}; alive $TPM tpm; alive $LAST qemu`,
    });
    expect(out.slice(-2)).toEqual(['alive tpm', 'alive qemu']);
    expect(verdictOf(out)).toBe('dead');
  });

  test('F35: nor when its qemu comes only later', async () => {
    const { out } = await play({
      script: `${SWTPM}; ( sleep 0.4; ${NEWER} ) & NEW=$!
        GRACE=1500 fence 7 ${DISK}; alive $TPM tpm; alive $NEW qemu`,
    });
    expect(out.slice(-2)).toEqual(['alive tpm', 'alive qemu']);
  });

  test('F35: a side process while a newer start is under way: not killed, and not dead', async () => {
    const { out } = await play({
      script: `mkdir run/grants; ${SWTPM}; echo "8 999999 1" >run/grants/$VM
        DEADLINE=900 fence 7 ${DISK}; alive $TPM tpm`,
    });
    expect(out.at(-1)).toBe('alive tpm');
    expect(verdictOf(out)).toBe('unattributed');
  });

  test('F35: no virsh destroy for a VM of which a newer run lives', async () => {
    const { out } = await play({
      virsh: 'running',
      script: `
        qemu -uuid $VM -fw_cfg $(mark 8); NEW=$LAST; qemu -uuid $VM -fw_cfg $(mark 7); OLD=$LAST
        fence 7 ${DISK}; alive $NEW new; alive $OLD old; grep -c destroy virsh.log`,
    });
    expect(out.slice(-3)).toEqual(['alive new', 'gone old', '0']);
  });

  const WITHOUT_MEMORY = (at: string): string =>
    `export ENOMEM_IN=fenceline-fence ENOMEM_AT=${at} PROGRAM=$BREAKABLE
     DEADLINE=1200 LD_PRELOAD=$TOOLS/ENOMEM.so fence 7 ${DISK}`;

  test('F35: a record of a run that can not be opened may name a newer one: not touched, not dead', async () => {
    const { out } = await play({
      script: `
          qemu -uuid $VM; mkdir run/runs; echo "8 $LAST $(starttime $LAST)" >run/runs/$VM
          ${WITHOUT_MEMORY('$PWD/run/runs/$VM')}; alive $LAST newer`,
    });
    expect(out.at(-1)).toBe('alive newer');
    expect(verdictOf(out)).toBe('unattributed');
  });

  test('F34: a record of a start that can not be opened is not one that is not there', async () => {
    const { out } = await play({
      script: `
          mkdir run/grants; sleep 1000 & echo "7 $! $(starttime $!)" >run/grants/$VM
          ${WITHOUT_MEMORY('$PWD/run/grants/$VM')}`,
    });
    expect(verdictOf(out)).toBe('unattributed');
  });

  test('F21: a process whose arguments can not be opened may be the VM under another name', async () => {
    const { out } = await play({
      script: `
          ( exec -a /usr/bin/qemu-system-x86_64 bash -c "printf vm >/proc/\\$\\$/comm; $SPIN" -uuid $VM ) & LAST=$!
          settle; until [[ $(cat /proc/$LAST/comm) == vm ]]; do sleep 0.01; done
          ${WITHOUT_MEMORY('/proc/$LAST/cmdline')}`,
    });
    expect(verdictOf(out)).toBe('unattributed');
  });

  test('F20a: a side process of a VM with a long name, which libvirt cuts in its paths', async () => {
    const { out } = await play({
      script: `
        named /usr/libexec/virtiofsd --fd=3 -o source=/x --socket=/y/domain-4-a-name-of-more-than-/fs0.sock
        SIDE=$LAST
        named /usr/libexec/virtiofsd --fd=3 -o source=/x --socket=/y/domain-5-a-name-of-more-than-/fs0.sock
        THEIRS=$LAST
        qemu -name guest=a-name-of-more-than-twenty -uuid $VM -chardev path=/y/domain-4-a-name-of-more-than-/m.sock
        fence 7; alive $SIDE own; alive $THEIRS theirs`,
    });
    expect(out.slice(-2)).toEqual(['gone own', 'alive theirs']);
  });
});
