import { expect, test } from '@jest/globals';
import { DISK, onBothPrograms, useTools, verdictOf } from '../../../test/fenceProgramHost.js';

useTools();

// A program of libvirt's name: perl, as it can give up root, and fork without beginning another program.
const LIKE_LIBVIRTD = `cp /usr/bin/perl ./libvirtd; cp /usr/bin/perl ./sleeper
  been() { until [[ -e $1 ]]; do sleep 0.01; done; }
  USER='use POSIX; sub user { POSIX::setgid(65534); POSIX::setuid(65534); $< == 65534 or die } sub ready { open my $f, ">", "ready"; }'`;
/** Only root has other users than itself. */
const asRoot = process.getuid?.() === 0 ? test : test.skip;

onBothPrograms("the fence program: which libvirt daemon is the host's own", (play) => {
  asRoot.each([
    [
      `( exec -a libvirtd ./sleeper -e "$USER; ready(); user(); sleep 1000" )`,
      'any program under its name',
    ],
    [`./libvirtd -e "$USER; ready(); user(); sleep 1000"`, "a user's session daemon"],
    [
      `./libvirtd -e "$USER; fork and exit; ready(); user(); sleep 1000"`,
      'the same, gone to the background by itself',
    ],
  ])("F21: a user's process is not the host's daemon: %s (%s)", async (start) => {
    for (const virsh of ['dead', 'hang'] as const) {
      const { out } = await play({
        virsh,
        script: `${LIKE_LIBVIRTD}; ${start} & been ready; sleep 0.2
          THEIRS=$(pgrep -u 65534); fence 7 ${DISK}; alive $THEIRS theirs`,
      });
      expect([virsh, verdictOf(out), out.at(-1)]).toEqual([virsh, 'dead', 'alive theirs']);
    }
  });

  test('F21: the daemon of a container is not the host’s, root or not', async () => {
    for (const virsh of ['dead', 'hang'] as const) {
      const { out } = await play({
        virsh,
        script: `${LIKE_LIBVIRTD}
          unshare -p --fork --kill-child ./libvirtd -e "$USER; ready(); sleep 1000" & been ready
          THEIRS=$(pgrep -x libvirtd); fence 7 ${DISK}; alive $THEIRS theirs`,
      });
      expect([virsh, verdictOf(out), out.at(-1)]).toEqual([virsh, 'dead', 'alive theirs']);
    }
  });

  asRoot('F34: a child of the daemon that has given up root may yet become a qemu', async () => {
    const child = `fork or do { open my $c, ">", "/proc/self/comm"; print $c "rpc-libvirtd"; close $c; ready(); user(); sleep 1000 }`;
    const { out } = await play({
      virsh: 'hang',
      script: `${LIKE_LIBVIRTD}; CHILD='${child}'
        ./libvirtd -e "$USER; $CHILD; sleep 1000" & DAEMON=$!; been ready; sleep 0.2
        THEIRS=$(pgrep -u 65534); DEADLINE=2500 fence 7 ${DISK}; alive $DAEMON daemon; alive $THEIRS child`,
    });
    expect(verdictOf(out)).toBe('unattributed');
    expect(out.slice(-2)).toEqual(['gone daemon', 'alive child']);
  });

  test('F21: a daemon of which nobody can tell whose it is is neither ended nor taken for gone', async () => {
    const { out } = await play({
      virsh: 'dead',
      script: `${LIKE_LIBVIRTD}; ./libvirtd -e "$USER; ready(); sleep 1000" & DAEMON=$!; been ready
        export DEADLINE=1500; order 7 ${DISK} >order.txt
        ( export LD_PRELOAD=$TOOLS/ENOMEM.so ENOMEM_IN=fenceline-fence ENOMEM_AT=/proc/$DAEMON/status; $BREAKABLE <order.txt )
        alive $DAEMON daemon`,
    });
    expect(verdictOf(out)).toBe('unattributed');
    expect(out.at(-1)).toBe('alive daemon');
  });
});
