import { expect, test } from '@jest/globals';
import { recordingLogger, seededRandom, VirtualClock } from '@fenceline/common/testing';
import type { BackgroundProgram, BackgroundPrograms, FoundProgram } from './background.js';
import { makeFenceDoor } from './doorKeeper.js';
import type { DoorSettings } from './doorRules.js';
import type { FenceDoor } from './fenceDoor.js';

const settings: DoorSettings = {
  program: { runDir: '/run/f', stateDir: '/var/f', libvirtUri: 'qemu:///system' },
  ...{ port: 7_071, address: '::' },
  tls: { ca: '/t/ca.pem', cert: '/t/agent.pem', key: '/t/agent.key' },
  files: { fence: '/run/f/bin/fence', door: '/run/f/bin/door' },
};

/** A host whose programs outlive every keeper. */
class Host implements BackgroundPrograms {
  readonly clock = new VirtualClock();
  readonly running = new Map<string, FoundProgram>();
  readonly trace: string[] = [];
  mark = 'm1';
  failing: string | undefined;
  readonly said = recordingLogger();
  #pid = 100;

  keeper(): FenceDoor {
    const { clock } = this;
    const ports = { clock, random: seededRandom(1), log: this.said.log, programs: this };
    const identityMark = async (): Promise<string> => this.mark;
    return makeFenceDoor({ ...ports, identityMark }, settings);
  }

  async find({ name }: { name: string }): Promise<FoundProgram | undefined> {
    return this.running.get(name);
  }

  async start({ name, args, mark }: BackgroundProgram): Promise<void> {
    this.trace.push(`start ${name}`);
    if (this.failing === name) throw new Error('it ended: no');
    this.#pid += 1;
    const found = { pid: this.#pid, startTime: this.#pid * 10, args, mark, isInstalled: true };
    this.running.set(name, found);
  }

  async end(found: FoundProgram): Promise<void> {
    for (const [name, one] of this.running)
      if (one === found) {
        this.trace.push(`end ${name}`);
        this.running.delete(name);
      }
  }

  pid(name: string): number | undefined {
    return this.running.get(name)?.pid;
  }
}

test('F27: both are started, listener first, looked after, and left alone by a stop', async () => {
  const host = new Host();
  const keeper = host.keeper();
  keeper.start();
  await host.clock.advance(60_000);
  expect(host.trace).toEqual(['start fence-listener', 'start fence-door']);
  await host.clock.settle(keeper.stop());
  expect(host.running.size).toBe(2);
  expect(host.clock.pending).toBe(0);
});

test('F27: an agent that restarts adopts what fits', async () => {
  const host = new Host();
  for (let life = 0; life < 3; life += 1) {
    const keeper = host.keeper();
    keeper.start();
    await host.clock.settle(keeper.want({ orderTokens: true }));
    await host.clock.settle(keeper.stop());
  }
  expect(host.trace).toEqual(['start fence-listener', 'start fence-door']);
});

test('F29a: a change of the wish for tokens starts the listener anew, and not the door', async () => {
  const host = new Host();
  const keeper = host.keeper();
  await host.clock.settle(keeper.want({ orderTokens: false }));
  const [listener, door] = [host.pid('fence-listener'), host.pid('fence-door')];
  expect(host.running.get('fence-listener')?.args).not.toContain('--tokens');
  await host.clock.settle(keeper.want({ orderTokens: true }));
  expect(host.running.get('fence-listener')?.args).toContain('--tokens');
  expect(host.pid('fence-listener')).not.toBe(listener);
  expect(host.pid('fence-door')).toBe(door);
});

test('F27: new TLS files start the door anew, a new program file what runs the old one', async () => {
  const host = new Host();
  const keeper = host.keeper();
  keeper.start();
  await host.clock.advance(1_000);
  host.mark = 'm2';
  await host.clock.advance(4_000);
  expect(host.trace.slice(2)).toEqual(['end fence-door', 'start fence-door']);
  const listener = host.running.get('fence-listener');
  if (listener !== undefined) listener.isInstalled = false;
  await host.clock.advance(4_000);
  expect(host.trace.slice(4)).toEqual(['end fence-listener', 'start fence-listener']);
  await host.clock.settle(keeper.stop());
});

test('F27: one that dies is back within seconds; one that dies again and again ever less often', async () => {
  const host = new Host();
  const keeper = host.keeper();
  keeper.start();
  await host.clock.advance(40_000);
  host.running.delete('fence-door');
  await host.clock.advance(4_000);
  expect(host.pid('fence-door')).toBeDefined();
  host.trace.length = 0;
  for (let second = 0; second < 600; second += 1) {
    host.running.delete('fence-door');
    await host.clock.advance(1_000);
  }
  expect(host.trace.length).toBeGreaterThan(5);
  expect(host.trace.length).toBeLessThan(40);
  await host.clock.settle(keeper.stop());
});

test('F27: what can not be started is told once, tried for ever, and does not stop the agent', async () => {
  const host = new Host();
  host.failing = 'fence-door';
  const keeper = host.keeper();
  keeper.start();
  await host.clock.advance(120_000);
  const warnings = host.said.lines.filter((line) => JSON.stringify(line).includes('it ended: no'));
  expect(warnings).toHaveLength(1);
  expect(host.trace.filter((line) => line === 'start fence-door').length).toBeGreaterThan(4);
  host.failing = undefined;
  await host.clock.advance(100_000);
  expect(host.pid('fence-door')).toBeDefined();
  await host.clock.settle(keeper.stop());
});
