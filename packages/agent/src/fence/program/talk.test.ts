import { expect, test } from '@jest/globals';
import {
  DISK,
  OTHER,
  VM,
  linesOf,
  onProgram,
  useTools,
  verdictOf,
} from '../../../test/fenceProgramHost.js';

// What helpers of the native program say to libvirt's daemon themselves; virsh says it where that can't be.
useTools();

const HEX = VM.replaceAll('-', '');
/** `libvirtd MODE`: a daemon whose words are in libvirt.log; virsh would say that the VM is shut off. */
const DAEMON = `
  export FENCELINE_LIBVIRT_SOCKET=$PWD/libvirt.sock
  libvirtd() { rm -f libvirt.sock; $LIBVIRTD $PWD/libvirt.sock $PWD/libvirt.log "$@" & until [[ -S libvirt.sock ]]; do sleep 0.01; done; }
  said() { sed 's/^/libvirt /' libvirt.log; sed 's/^/virsh /' virsh.log; }`;
/** A line: each order is answered before the next is given. */
const LINE = `
  begin() { mkfifo in out; ( exec $PROGRAM <in >out ) & exec 7>in 8<out; echo 'fenceline-peer 1' >&7; hear fenceline-fence; }
  hear() { local l; while read -r -t 8 -u 8 l; do echo "$l"; [[ $l != "$1"* ]] || return 0; done; echo "nothing of $1"; }
  ask() { order "$@" | sed 1d >&7; hear end; }`;

onProgram('native', 'the fence program and libvirt itself', (play) => {
  const virshOf = (out: string[]): string[] => linesOf(out, 'virsh');
  const destroysOf = (out: string[]): string[] =>
    out.filter((line) => /^(?:libvirt|virsh) .*destroy/.test(line));

  test('F19: libvirt is asked and told by helpers that are connected: no virsh is started', async () => {
    const { out } = await play({
      script: `${DAEMON}; libvirtd running; qemu -uuid $VM; GRACE=1500 fence 7 ${DISK}; alive $LAST qemu; said`,
    });
    expect(verdictOf(out)).toBe('dead');
    expect(out).toContain('gone qemu');
    expect(out).toContain(`libvirt by-uuid ${HEX}`);
    expect(destroysOf(out)).toEqual([`libvirt destroy ${HEX} 5`]);
    expect(virshOf(out)).toEqual([]);
  });

  test('I3, F35: a number that has become another VM’s is not destroyed', async () => {
    const { out } = await play({
      script: `${DAEMON}; libvirtd reused; qemu -uuid $VM; GRACE=500 fence 7 ${DISK}; said`,
    });
    expect(verdictOf(out)).toBe('dead');
    expect(out).toContain('libvirt by-number 5');
    expect(destroysOf(out)).toEqual([]);
  });

  test('F34: an answer to another question is none: virsh is asked to destroy', async () => {
    const { out } = await play({
      script: `${DAEMON}; libvirtd mixed; qemu -uuid $VM; GRACE=1500 fence 7 ${DISK}; said`,
    });
    expect(verdictOf(out)).toBe('dead');
    expect(destroysOf(out)).toEqual([expect.stringMatching(/^virsh .* destroy 5$/)]);
  });

  test.each(['off', 'unknown'])('F21: libvirt’s word settles it: %s', async (mode) => {
    const { out } = await play({
      script: `${DAEMON}; libvirtd ${mode}; fence 7 ${DISK}; said`,
    });
    expect(verdictOf(out)).toBe('dead');
    expect(virshOf(out)).toEqual([]);
  });

  test.each([
    ['error', 'any other error is not "there is no such VM"'],
    ['login', 'a daemon that wants to know who we are'],
    ['cut', 'a daemon that ends in the middle'],
  ])('F21: virsh is asked where libvirt does not answer: %s (%s)', async (mode) => {
    const { out } = await play({
      virsh: 'dead',
      script: `${DAEMON}; libvirtd ${mode}; DEADLINE=3000 fence 7 ${DISK}; said`,
    });
    expect(virshOf(out)[0]).toContain(`domstate ${VM}`);
    // Virsh says that nobody is there, and no process of a daemon is: then there is none.
    expect(verdictOf(out)).toBe('dead');
  });

  test('F21: a daemon that was replaced is asked no more, though its connection stands', async () => {
    const { out } = await play({
      script: `${DAEMON}; ${LINE}; libvirtd unknown; begin; ask 7 ${DISK}
        mv libvirt.log old.log; libvirtd running; touch libvirt.log; qemu -uuid $VM; GRACE=1500 ask 7 ${DISK}; exec 7>&-; said`,
    });
    expect(linesOf(out, 'verdict').map((line) => line.split(' ')[2])).toEqual(['dead', 'dead']);
    expect(linesOf(out, 'libvirt')[0]).toBe('libvirt ways-in ');
    expect(destroysOf(out)).toEqual([`libvirt destroy ${HEX} 5`]);
  });

  test('F17: a VM for which libvirt does not answer keeps no other waiting', async () => {
    const { out } = await play({
      script: `${DAEMON}; libvirtd off ${OTHER}
        { DEADLINE=4000 order 7 ${DISK} | sed 's/vms=1/vms=2/'; echo "vm $OTHER epoch=7"; } >order.txt
        $PROGRAM <order.txt; said`,
    });
    expect(verdictOf(out)).toBe('dead');
    expect(out).toContain(`libvirt by-uuid ${OTHER.replaceAll('-', '')}`);
    expect(virshOf(out)).toEqual([]);
  });
});
