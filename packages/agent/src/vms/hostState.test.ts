import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { fileHostState } from './adapters/fileHostState.js';
import { prepareHostState } from './adapters/prepareHostState.js';
import type { HostState } from './hostState.js';
import { emptyHostMemory, memoryHostState } from './memoryHostState.js';

const HOST = '0a000000-0000-4000-8000-000000000001';
const VM = '11111111-2222-4333-8444-555555555555';
const dirs: string[] = [];
afterEach(async () => {
  for (const dir of dirs.splice(0)) await rm(dir, { recursive: true, force: true });
});

async function newDirs(): Promise<{ runDir: string; stateDir: string }> {
  const dir = await mkdtemp(join(tmpdir(), 'fenceline-state-'));
  dirs.push(dir);
  const made = { runDir: join(dir, 'run'), stateDir: join(dir, 'state') };
  await prepareHostState(made);
  return made;
}

describe.each([
  ['files', async () => fileHostState(await newDirs())],
  ['memory', async () => memoryHostState(emptyHostMemory())],
] as const)('the records of a host in %s', (_name, make: () => Promise<HostState>) => {
  test('what nobody wrote is undefined', async () => {
    const state = await make();
    expect(await state.identity()).toEqual({ hostUuid: undefined, seeded: false });
    expect(await state.barrier(VM)).toBeUndefined();
    expect(await state.began(VM)).toBeUndefined();
    expect(await state.grants()).toEqual([]);
    expect(await state.runs()).toEqual(new Map());
  });

  test('F34: a barrier only ever grows', async () => {
    const state = await make();
    expect(await state.raiseBarrier(VM, 5)).toBe('disk');
    await state.raiseBarrier(VM, 3);
    expect(await state.barrier(VM)).toBe(5);
    await Promise.all([state.raiseBarrier(VM, 9), state.raiseBarrier(VM, 7)]);
    expect(await state.barrier(VM)).toBe(9);
  });

  test('F11: the highest begun epoch only ever grows', async () => {
    const state = await make();
    await Promise.all([5, 9, 7].map((epoch) => state.recordBegan(VM, epoch)));
    await state.recordBegan(VM, 3);
    expect(await state.began(VM)).toBe(9);
  });

  test('F11: only a connect that brings the runs makes the record whole', async () => {
    const state = await make();
    await state.adopt(HOST, undefined);
    expect(await state.identity()).toEqual({ hostUuid: HOST, seeded: false });
    await state.adopt(HOST, [{ vmUuid: VM.replaceAll('-', '').toUpperCase(), epoch: 4 }]);
    expect(await state.identity()).toEqual({ hostUuid: HOST, seeded: true });
    expect(await state.began(VM)).toBe(4);
    await state.adopt(HOST, [{ vmUuid: VM, epoch: 8 }]);
    expect(await state.began(VM)).toBe(4);
  });

  test('grants and runs are kept as written', async () => {
    const state = await make();
    const grant = { vmUuid: VM, epoch: 3, pid: 7, startTime: 70 };
    await state.writeGrant(grant);
    expect(await state.grants()).toEqual([grant]);
    await state.dropGrant({ ...grant, epoch: 4 });
    await state.dropGrant({ ...grant, pid: 8 });
    await state.dropGrant({ ...grant, startTime: 71 });
    expect(await state.grants()).toEqual([grant]);
    await state.dropGrant(grant);
    await state.dropGrant(grant);
    expect(await state.grants()).toEqual([]);
    await state.recordRun(VM, { epoch: 3, pid: 8, startTime: 80 });
    expect([...(await state.runs())]).toEqual([[VM, { epoch: 3, pid: 8, startTime: 80 }]]);
  });
});

test('the files are the ones that the fence program reads and writes', async () => {
  const { runDir, stateDir } = await newDirs();
  const state = fileHostState({ runDir, stateDir });
  await state.adopt(HOST, []);
  await state.raiseBarrier(VM, 5);
  await state.recordBegan(VM, 6);
  await state.writeGrant({ vmUuid: VM, epoch: 6, pid: 7, startTime: 70 });
  await state.recordRun(VM, { epoch: 6, pid: 8, startTime: 80 });
  const text = (...path: string[]): Promise<string> => readFile(join(...path), 'utf8');
  expect(await text(runDir, 'host')).toBe(`${HOST}\n`);
  expect(await text(stateDir, 'host')).toBe(`${HOST}\n`);
  expect(await text(runDir, 'agent-barriers', VM)).toBe('5\n');
  expect(await text(stateDir, 'agent-barriers', VM)).toBe('5\n');
  expect(await text(stateDir, 'began', VM)).toBe('6\n');
  expect(await text(runDir, 'grants', VM)).toBe('6 7 70\n');
  expect(await text(runDir, 'runs', VM)).toBe('6 8 80\n');
});

test('F34: barriers of the fence program count too, and neither raise undoes the other', async () => {
  const { runDir, stateDir } = await newDirs();
  const state = fileHostState({ runDir, stateDir });
  for (const dir of [runDir, stateDir]) await mkdir(join(dir, 'barriers'), { recursive: true });
  await writeFile(join(runDir, 'barriers', VM), '9');
  expect(await state.barrier(VM)).toBe(9);
  await state.raiseBarrier(VM, 11);
  // The program had read the old value before that, and writes what it was asked for.
  await writeFile(join(runDir, 'barriers', VM), '10');
  expect(await state.barrier(VM)).toBe(11);
  await writeFile(join(stateDir, 'barriers', VM), '12');
  expect(await state.barrier(VM)).toBe(12);
});

test('F34: a barrier that the disk does not take is kept for this boot, and says so', async () => {
  const { runDir, stateDir } = await newDirs();
  await writeFile(join(stateDir, 'agent-barriers'), 'in the way');
  const state = fileHostState({ runDir, stateDir });
  expect(await state.raiseBarrier(VM, 5)).toBe('memory');
  expect(await readFile(join(runDir, 'agent-barriers', VM), 'utf8')).toBe('5\n');
});

test('a record that can not be understood is an error, never "none"', async () => {
  const { runDir, stateDir } = await newDirs();
  const state = fileHostState({ runDir, stateDir });
  await state.raiseBarrier(VM, 5);
  await state.recordBegan(VM, 5);
  await state.writeGrant({ vmUuid: VM, epoch: 6, pid: 7, startTime: 70 });
  await writeFile(join(stateDir, 'agent-barriers', VM), '');
  await writeFile(join(stateDir, 'began', VM), '5x');
  await writeFile(join(runDir, 'grants', VM), '6 7');
  for (const broken of [() => state.barrier(VM), () => state.began(VM), () => state.grants()])
    await expect(broken()).rejects.toMatchObject({ code: 'INTERNAL' });
});

test('F11: a lost state directory is noticed, and the host still knows who it is in this boot', async () => {
  const { runDir, stateDir } = await newDirs();
  const state = fileHostState({ runDir, stateDir });
  await state.adopt(HOST, []);
  await rm(stateDir, { recursive: true });
  expect(await state.identity()).toEqual({ hostUuid: HOST, seeded: false });
});

test('after a reboot the host is told to the new boot', async () => {
  const { runDir, stateDir } = await newDirs();
  await fileHostState({ runDir, stateDir }).adopt(HOST, []);
  await rm(runDir, { recursive: true });
  await prepareHostState({ runDir, stateDir });
  expect(await readFile(join(runDir, 'host'), 'utf8')).toBe(`${HOST}\n`);
});

test('directories that can not be made are named', async () => {
  const { stateDir } = await newDirs();
  await writeFile(join(stateDir, 'file'), '');
  await expect(
    prepareHostState({ runDir: join(stateDir, 'file', 'run'), stateDir }),
  ).rejects.toThrow(/can't use runDir .*file\/run/);
});
