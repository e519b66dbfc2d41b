import { expect, test } from '@jest/globals';
import {
  DISK,
  OTHER,
  linesOf,
  onProgram,
  useTools,
  verdictOf,
} from '../../../test/fenceProgramHost.js';

// What the tests of the bash program do with a faked find, sync or realpath: here a call of the program
// itself fails, hangs or waits (LD_PRELOAD, packages/native/test/inject.c).
useTools();
const WITH = `inject() { env LD_PRELOAD=$INJECT INJECT_DIR=$PWD "$@" $PROGRAM <order.txt; }
  give() { order 7 ${DISK} >order.txt; }`;

onProgram('dynamic', 'the native fence program: faults', (play) => {
  const run = (script: string, virsh: 'ok' | 'hang' | 'running' = 'ok') =>
    play({ virsh, script: `${WITH}\n${script}` });

  test('F25: a clock that can not be read ends it', async () => {
    const { out } = await run(`give; inject INJECT_CALL=clock INJECT_DO=5`);
    expect(out.at(-1)).toMatch(/^refused no-/);
  });
  test('F25: the deadline holds when virsh and a flush hang, and nothing is left', async () => {
    const { out } = await run(
      `DEADLINE=1500 give; qemu -uuid $VM; begun=$(date +%s%N)
       inject INJECT_CALL=fdatasync INJECT_PATH=$PWD/img INJECT_DO=hang
       echo "took $(( ($(date +%s%N) - begun) / 1000000 ))"; sleep 0.1
       ps -e -o args= | grep -c '[f]enceline-fence'; ps -e -o args= | grep -c '[s]leep 1000'; ls run`,
      'hang',
    );
    expect(verdictOf(out)).toBe('not-drained');
    expect(Number(linesOf(out, 'took')[0]?.split(' ')[1])).toBeLessThan(1700);
    expect(out.filter((line) => line === '0')).toHaveLength(2);
    expect(out.filter((line) => line.startsWith('fence.'))).toEqual([]);
  });
  test.each(['hang', 'stop'])(
    'F25: a program that hangs itself is ended by its watchdog: %s',
    async (how) => {
      const { out } = await run(
        `DEADLINE=700 give; qemu -uuid $OTHER; begun=$(date +%s%N)
       if [[ ${how} == hang ]]; then inject INJECT_CALL=open INJECT_PATH=/proc/$LAST/ INJECT_DO=hang
       else env LD_PRELOAD=$INJECT INJECT_CALL=fdatasync INJECT_PATH=$PWD/img INJECT_DO=hang $PROGRAM <order.txt & PROGRAM_PID=$!
         sleep 0.2; kill -STOP $PROGRAM_PID; wait $PROGRAM_PID; fi
       echo "took $(( ($(date +%s%N) - begun) / 1000000 ))"; sleep 0.1; ps -e -o args= | grep -c '[f]enceline-fence'`,
      );
      expect(Number(linesOf(out, 'took')[0]?.split(' ')[1])).toBeLessThan(1_000);
      expect(linesOf(out, 'end')).toEqual([]);
      expect(out.at(-1)).toBe('0');
    },
  );
  test.each([
    ['INJECT_CALL=open INJECT_DO=12', 'no open'],
    ['INJECT_CALL=getdents INJECT_DO=12', 'no list'],
    ['INJECT_CALL=getdents INJECT_DO=empty', 'empty list'],
  ])('F21: without the list of processes (%s) nothing is dead: %s', async (how) => {
    const { out } = await run(
      `qemu -uuid $VM; DEADLINE=900 give; inject ${how} INJECT_PATH=/proc INJECT_EXACT=1`,
    );
    expect(verdictOf(out)).toBe('unattributed');
    expect(linesOf(out, 'end')[0]).toMatch(/control=look-failed/);
  });
  test('F21: at the end of it all it looks once more', async () => {
    const { out } = await run(
      `give; ( until [[ -e at ]]; do sleep 0.01; done
         exec -a qemu-system-x86_64 bash -c "touch go; $SPIN" -uuid $VM ) & SECOND=$!
       inject INJECT_CALL=readlink INJECT_PATH=/proc/1/fd/ INJECT_DO=gate; alive $SECOND second`,
    );
    expect(out.at(-1)).toBe('gone second');
    expect(verdictOf(out)).toBe('dead');
  });
  test('F21a: a flush that began before a death is worth nothing', async () => {
    const { out } = await run(
      `give; ( until [[ -d first ]]; do :; done; exec -a qemu-system-x86_64 bash -c "$SPIN" -uuid $VM ) &
       inject INJECT_CALL=fdatasync INJECT_PATH=$PWD/img INJECT_DO=slow-first`,
    );
    expect(linesOf(out, 'pid').length).toBeGreaterThan(0);
    expect(verdictOf(out)).toBe('not-drained');
  });
  test.each([
    ['INJECT_CALL=getdents INJECT_PATH=/proc/1/fd INJECT_DO=12', 'fails'],
    [
      'INJECT_CALL=open INJECT_PATH=/proc/1/fd INJECT_EXACT=1 INJECT_DO=13',
      'may not look into a process that runs',
    ],
    ['INJECT_CALL=readlink INJECT_PATH=/proc/1/fd/ INJECT_DO=12', 'can not read a name'],
    ['INJECT_CALL=readlink INJECT_PATH=/proc/1/fd/ INJECT_DO=2', 'hears that an open file is none'],
    [
      'INJECT_CALL=readlink INJECT_PATH=/proc/$$/fd/ INJECT_DO=13',
      'can not read a name of another',
    ],
    ['INJECT_CALL=open INJECT_PATH=/sys/block INJECT_DO=12', 'can not see the loop devices'],
  ])('F20a: a scan for writers that fails proves nothing: %s (%s)', async (how) => {
    const { out } = await run(`DEADLINE=1000 give; inject ${how}`);
    expect(verdictOf(out)).toBe('not-drained');
  });
  test.each([
    ['it could not be made', 'INJECT_CALL=open INJECT_END=/witness INJECT_DO=12'],
    ['nobody shows any', 'INJECT_CALL=getdents INJECT_END=/fd INJECT_DO=empty'],
  ])('F20a: a scan that does not see its own open file proves nothing: %s', async (_why, how) => {
    const { out } = await run(`DEADLINE=1000 give; inject ${how}`);
    expect(linesOf(out, 'end')[0]).toMatch(/control=ok/);
    expect(verdictOf(out)).toBe('not-drained');
  });
  test('F20a: a writer that can not be looked at any more is not forgotten', async () => {
    const { out } = await run(
      `( exec 3>>img; exec -a backup bash -c "$SPIN" ) & LAST=$!; settle; DEADLINE=1000 give
       inject INJECT_CALL=open INJECT_PATH=/proc/$LAST/ INJECT_WHEN=$PWD/state/barriers/$VM INJECT_DO=12`,
    );
    expect(verdictOf(out)).not.toBe('dead');
    expect(verdictOf(out)).not.toBe('none');
  });
  test.each([
    ['/proc/1/fd/', 'before it is looked at'],
    ['/proc/$LAST/fd/', 'while it is looked at'],
  ])(
    'F20a: a writer that hands its file to a child and ends is found by its child: gate at %s, %s',
    async (at) => {
      const { out } = await run(
        `echo 'exec 3>>img; until [[ -e at ]]; do :; done; ( exec sleep 1000 ) & echo $! >child' >parent
         bash parent & LAST=$!; until [[ $(readlink /proc/$LAST/fd/3) == */img ]]; do sleep 0.01; done
         ( until [[ -s child && ! -e /proc/$LAST ]]; do sleep 0.01; done; touch go ) &
         ( wait $LAST; ) ; give; inject INJECT_CALL=readlink INJECT_PATH=${at} INJECT_DO=gate; cat child`,
      );
      expect(verdictOf(out)).toBe('other-writer');
      expect(linesOf(out, 'writer')[0]).toContain(` ${out.at(-1)} `);
    },
  );
  test('F21a: what a writer left that ended before the scan is flushed, too', async () => {
    const { out } = await run(
      `give; inject INJECT_PATH=$PWD/img INJECT_LOG=$PWD/log; uniq log | tr '\\n' ' '`,
    );
    expect(verdictOf(out)).toBe('dead');
    expect(out.at(-1)?.trim()).toBe('scan flush');
  });
  test('F20a, F21a: after a flush that took long it is looked for writers again, and flushed', async () => {
    const { out } = await run(
      `give; inject INJECT_FLUSH_MS=150 INJECT_PATH=$PWD/img INJECT_LOG=$PWD/log; uniq log | tr '\\n' ' '`,
    );
    expect(verdictOf(out)).toBe('dead');
    expect(out.at(-1)?.trim()).toBe('scan flush scan flush');
  });
  test('F20a: without real names a writer could come by another path, so nothing is dead', async () => {
    const { out } = await run(
      `DEADLINE=1000 give; inject INJECT_CALL=readlink INJECT_PATH=/proc/self/fd/ INJECT_DO=12`,
    );
    expect(verdictOf(out)).toBe('not-drained');
  });
  test('F35: a record that can not be read kills nothing on its word', async () => {
    const { out } = await run(
      `qemu -uuid $VM; mkdir run/runs; echo "8 $LAST $(starttime $LAST)" >run/runs/$VM; DEADLINE=900 give
       inject INJECT_CALL=open INJECT_PATH=$PWD/run/runs/ INJECT_DO=12; alive $LAST newer`,
    );
    expect(out.at(-1)).toBe('alive newer');
    expect(verdictOf(out)).toBe('unattributed');
  });
  test('F17: a storage that hangs under one VM keeps no other from its flush', async () => {
    const { out } = await run(
      `{ echo 'fenceline-peer 1'; echo 'fence 00112233445566778899aabbccddeeff token=- deadline_ms=6000 vms=31'
         for i in {0..29}; do mkdir -p hung; touch hung/$i; printf 'vm 22222222-2222-3333-4444-%012d epoch=7 disk=file:%s\\n' $i $PWD/hung/$i; done
         echo "vm $VM epoch=7 disk=file:$PWD/img"; } >order.txt
       inject INJECT_CALL=fdatasync INJECT_PATH=$PWD/hung/ INJECT_DO=hang`,
    );
    expect(verdictOf(out)).toBe('dead');
    expect(linesOf(out, 'verdict').filter((line) => line.includes('not-drained'))).toHaveLength(30);
  });

  test('F17: nor do disks whose names hang, under a VM that does not die', async () => {
    const { out } = await play({
      unkillable: 'qemu',
      script: `${WITH}; mkdir hung
        { DEADLINE=5000 order 7 $(for i in {0..49}; do echo disk=file:$PWD/hung/$i; done) | sed 's/vms=1/vms=2/'
          echo "vm $OTHER epoch=7 ${DISK}"; } >order.txt
        inject INJECT_CALL=open INJECT_PATH=$PWD/hung/ INJECT_DO=hang`,
    });
    expect(verdictOf(out)).toBe('alive');
    expect(verdictOf(out, OTHER)).toBe('dead');
  });

  test('F34: a barrier that does not stand there in the end is none', async () => {
    // Raised behind its back to something that is no number, between the rename and the reading.
    const { out } = await run(
      `mkdir -p run/barriers; DEADLINE=900 give
       inject INJECT_CALL=open INJECT_PATH=$PWD/run/barriers/$VM INJECT_NTH=2 INJECT_DO=5`,
    );
    expect(linesOf(out, 'end')[0]).toMatch(/control=no-barrier/);
    expect(verdictOf(out)).toBe('not-drained');
  });

  test('F34: a barrier that the disk did not take holds in memory only, and is told so', async () => {
    const { out } = await run(
      `give; inject INJECT_CALL=fsync INJECT_PATH=$PWD/state/barriers/.fence INJECT_DO=5; cat run/barriers/$VM`,
    );
    expect(linesOf(out, 'verdict')[0]).toMatch(/ dead barrier=memory$/);
    expect(out.at(-1)).toBe('7');
  });

  test('F20a: a name that is known only after the scan is scanned for, too', async () => {
    // The link moves between the flush before the scan and the one after it.
    const { out } = await run(
      `cp img other; ln -s $PWD/img link; order 7 disk=file:$PWD/link >order.txt
       ( exec 3>>other; exec -a qemu-nbd bash -c "$SPIN" ) & LAST=$!; settle
       ( until [[ -e at ]]; do sleep 0.01; done; ln -sfn $PWD/other link; touch go ) &
       inject INJECT_CALL=readlink INJECT_PATH=/proc/1/fd/ INJECT_DO=gate`,
    );
    expect(linesOf(out, 'writer')).toHaveLength(1);
    expect(verdictOf(out)).toBe('other-writer');
  });

  test('F21a: a table of sockets that can not be read has not shown every socket', async () => {
    for (const fault of [
      'INJECT_CALL=open INJECT_PATH=/proc/net/tcp INJECT_DO=12',
      'INJECT_CALL=readerror INJECT_END=/net/tcp INJECT_DO=5',
      'INJECT_CALL=open INJECT_PATH=/proc/ INJECT_END=/net INJECT_DO=2',
    ]) {
      const { out } = await run(
        `DEADLINE=900 order 7 disk=rbd:pool/image >order.txt; inject ${fault}
         DEADLINE=2000 order 7 disk=rbd:pool/image >order.txt; $PROGRAM <order.txt`,
      );
      const told = linesOf(out, 'verdict').map((line) => line.split(' ')[2]);
      expect([fault, ...told]).toEqual([fault, 'not-drained', 'dead']);
    }
  });

  test('F20a: a mount that can not be asked for may be that of the disk', async () => {
    const { out } = await run(
      `ln img other; ( exec 3>>other; exec -a backup bash -c "$SPIN" ) & LAST=$!; settle; give
       inject INJECT_CALL=open INJECT_PATH=/proc/$LAST/mountinfo INJECT_DO=12`,
    );
    expect(verdictOf(out)).toBe('other-writer');
  });

  test('F21: whose program /proc does not show for lack of memory may be a qemu', async () => {
    const { out } = await run(
      `cp /bin/bash ./qemu-system-x86_64
       ( exec -a vm-runner ./qemu-system-x86_64 -c "printf renamed >/proc/self/comm; $SPIN" -uuid $VM ) &
       LAST=$!; settle; until [[ $(</proc/$LAST/comm) == renamed ]]; do sleep 0.01; done; DEADLINE=900 give
       inject INJECT_CALL=readlink INJECT_PATH=/proc/$LAST/exe INJECT_DO=2; alive $LAST qemu`,
    );
    expect(verdictOf(out)).toBe('unattributed');
    expect(out.at(-1)).toBe('alive qemu');
  });

  test('F20: a number that became another process is that other process', async () => {
    const { out } = await run(
      `qemu -uuid $VM; FIRST=$LAST; give
       ( until [[ -e at ]]; do sleep 0.01; done
         echo $((FIRST - 1)) >/proc/sys/kernel/ns_last_pid
         ( exec -a qemu-system-x86_64 bash -c "touch go; $SPIN" -uuid $VM ) & echo $! >second ) &
       inject INJECT_CALL=readlink INJECT_PATH=/proc/1/fd/ INJECT_DO=gate
       echo "same $((FIRST == $(cat second)))"; alive $FIRST second`,
    );
    expect(out.slice(-2)).toEqual(['same 1', 'gone second']);
    // A stand-in forks once at its start: a look may catch that copy of it as well.
    const [first, ...others] = linesOf(out, 'pid').map((line) => line.split(' ')[2]);
    expect(others).toContain(first);
    expect(verdictOf(out)).toBe('dead');
  });

  test("F35: a status file of libvirt's that can not be read may name a newer run", async () => {
    const { out } = await run(
      `qemu -name guest=web -uuid $VM; DEADLINE=900 give
       inject INJECT_CALL=open INJECT_PATH=/run/libvirt/qemu/web.xml INJECT_DO=12; alive $LAST qemu`,
    );
    expect(out.at(-1)).toBe('alive qemu');
    expect(verdictOf(out)).toBe('unattributed');
  });

  test('F21: a program that can not be asked for may be a qemu', async () => {
    const { out } = await run(
      `named vm-runner -uuid $VM; DEADLINE=900 give
       inject INJECT_CALL=readlink INJECT_PATH=/proc/$LAST/exe INJECT_DO=12`,
    );
    expect(verdictOf(out)).toBe('unattributed');
  });

  test("F21: libvirt's folder that can not be read may name a side process of the VM", async () => {
    const { out } = await run(
      `DEADLINE=900 give; inject INJECT_CALL=open INJECT_PATH=/run/libvirt/qemu INJECT_EXACT=1 INJECT_DO=12`,
    );
    expect(verdictOf(out)).toBe('unattributed');
  });

  test('F20a: without the list of processes a scan has seen nobody', async () => {
    const { out } = await run(
      // The scan after a slow flush: there was none yet, the looks were whole.
      `DEADLINE=1000 give; inject INJECT_CALL=getdents INJECT_PATH=/proc INJECT_EXACT=1 INJECT_DO=empty \
         INJECT_WHEN=$PWD/flushed INJECT_FLUSHED=$PWD/flushed INJECT_FLUSH_MS=150`,
    );
    // The looks that follow are void, too, and take back that the VM is clean.
    expect(verdictOf(out)).toBe('unattributed');
    expect(linesOf(out, 'disk')[0]).toMatch(/drained=synced$/);
  });
});
