import { expect, test } from '@jest/globals';
import {
  DISK,
  linesOf,
  onBothPrograms,
  onProgram,
  useTools,
  verdictOf,
} from '../../../test/fenceProgramHost.js';

// What a flush does not wait for: requests that the kernel holds for a process that is gone (F21a).
useTools();

/** Arguments by which a qemu writes through io_uring, in both of the forms in which it takes them. */
const JSON_FORM = `'{"driver":"file","filename":"/x","aio":"io_uring","node-name":"a"}'`;

onBothPrograms('the fence program: disks behind io_uring', (play) => {
  test.each([
    ['-blockdev', JSON_FORM],
    ['-drive', 'file=/x,if=none,aio=io_uring'],
  ])('F21a: no disk of a qemu that uses io_uring is drained: %s %s', async (option, value) => {
    const { out } = await play({
      script: `qemu -uuid $VM ${option} ${value}; fence 7 ${DISK} disk=rbd:pool/x; alive $LAST qemu`,
    });
    expect(linesOf(out, 'disk').map((line) => line.replace(/^.* drained=/, ''))).toEqual([
      'no why=io_uring',
      expect.any(String),
    ]);
    expect(verdictOf(out)).toBe('not-drained');
    expect(out.at(-1)).toBe('gone qemu');
  });

  test('F21a: a name is not a way to write', async () => {
    const { out } = await play({
      script: `qemu -name guest=io_uring -uuid $VM -drive file=/io_uring/aio,aio=native; fence 7 ${DISK}`,
    });
    expect(verdictOf(out)).toBe('dead');
  });

  test('F17: nor is another VM’s', async () => {
    const { out } = await play({
      script: `qemu -uuid $OTHER -drive file=/x,aio=io_uring; qemu -uuid $VM; fence 7 ${DISK}`,
    });
    expect(verdictOf(out)).toBe('dead');
  });

  test('F21a: an order says it of a disk, also of a qemu that is gone; others are flushed', async () => {
    const { out } = await play({
      script: `cp img other; fence 7 disk=uring-file:$PWD/img disk=file:$PWD/other disk=uring-block:$PWD/third`,
    });
    expect(linesOf(out, 'disk').map((line) => line.replace(/^.* drained=/, ''))).toEqual([
      'no why=io_uring',
      'synced',
      'no why=io_uring',
    ]);
    expect(verdictOf(out)).toBe('not-drained');
  });

  test('F20a: its writers are looked for as those of any other disk', async () => {
    const { out } = await play({
      script: `( exec 3>>img; exec -a qemu-nbd bash -c "$SPIN" ) & LAST=$!; settle
        fence 7 disk=uring-file:$PWD/img`,
    });
    expect(linesOf(out, 'writer')).toHaveLength(1);
    expect(verdictOf(out)).toBe('other-writer');
  });
});

onProgram('dynamic', 'the native fence program: a disk on NFS', (play) => {
  const fence = (nfs: string, fault = ''): string =>
    `order 7 ${DISK} >order.txt
     env LD_PRELOAD=$INJECT INJECT_NFS=${nfs} ${fault} INJECT_LOG=$PWD/log INJECT_PATH=$PWD/img $PROGRAM <order.txt
     uniq log | tr '\\n' ' '`;

  test('F21a: before a flush on NFS a read waits for what went around the page cache', async () => {
    const { out } = await play({ script: fence('$PWD/img') });
    expect(verdictOf(out)).toBe('dead');
    expect(out.at(-1)?.trim()).toBe('scan read flush');
  });

  test('F21a: where that read fails nothing was waited for', async () => {
    const { out } = await play({
      script: `DEADLINE=1500; ${fence('$PWD/img', 'INJECT_CALL=pread INJECT_DO=5')}`,
    });
    expect(verdictOf(out)).toBe('not-drained');
  });

  test('F21a: elsewhere nothing of a disk comes into the page cache', async () => {
    const { out } = await play({ script: fence('/nowhere', 'INJECT_CALL=pread INJECT_DO=5') });
    expect(verdictOf(out)).toBe('dead');
  });
});

onProgram('bash', 'the fence program in bash: a disk on NFS', (play) => {
  const fence = (kind: string, reads: string): string => `
    printf '#!/bin/bash\\n[[ $* != *img* ]] || echo read >>"$SANDBOX/log"; ${reads}\\n' >bin/head
    printf '#!/bin/bash\\n[[ $2 == -f ]] || [[ $1 == -f ]] || exec /usr/bin/stat "$@"; echo ${kind}\\n' >bin/stat
    printf '#!/bin/bash\\n[[ $* != *img* ]] || echo flush >>"$SANDBOX/log"; exec /bin/sync "$@"\\n' >bin/sync
    chmod +x bin/*; fence 7 ${DISK}; uniq log | tr '\\n' ' '`;

  test('F21a: before a flush on NFS a read waits for what went around the page cache', async () => {
    const { out } = await play({ script: fence('6969', 'exec /usr/bin/head "$@"') });
    expect(verdictOf(out)).toBe('dead');
    expect(out.at(-1)?.trim()).toBe('read flush read flush');
  });

  test('F21a: where that read fails nothing was waited for; elsewhere nothing is read', async () => {
    const failed = await play({ script: fence('6969', 'exit 1') });
    expect(verdictOf(failed.out)).toBe('not-drained');
    const local = await play({ script: fence('ef53', 'exit 1') });
    expect(verdictOf(local.out)).toBe('dead');
    expect(local.out.at(-1)?.trim()).toBe('flush');
  });
});
