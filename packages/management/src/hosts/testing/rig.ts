import { sealFor, Secret, type Clock } from '@fenceline/common';
import type { PowerDevice } from '../../fencing/power/powerDevice.js';
import type { ConnectExtensions } from '../connect/extensions.js';
import type { HostJudgement, HostListener, HostVmList } from '../contracts.js';
import { makeHostLogins, type LoginVault } from '../hostLogins.js';
import { makeHosts, type Hosts } from '../hosts.js';
import type { FakeAgent } from './fakeAgent.js';
import { FakePower } from './fakePower.js';
import { makeWorld, type World } from './world.js';

/** What the listener heard, in order, with the time. */
export type Heard =
  | { kind: 'list'; atMs: number; list: HostVmList }
  | { kind: 'vm'; atMs: number; vmUuid: string }
  | { kind: 'judged'; atMs: number; judgement: HostJudgement };

/** Seals nothing: what the database holds is the login itself. */
export const plainVault: LoginVault = {
  seal: async (_hostUuid, login) => login.reveal(),
  open: async (_hostUuid, sealed) => new Secret(sealed),
  sealFor,
};

export interface HostsRig extends World {
  hosts: Hosts;
  agents: FakeAgent[];
  power: FakePower;
  heard: Heard[];
  listener: HostListener;
  /** Judgements of one host: `row action`. */
  judgements: (hostUuid: string) => string[];
  livenesses: (hostUuid: string) => string[];
}

/** The whole host domain over `count` hosts of one cluster, connected and tracked. */
export async function makeRig(
  count: number,
  options: {
    extensions?: Partial<ConnectExtensions>;
    prepare?: (world: World) => void;
    world?: World;
    power?: PowerDevice;
    start?: boolean;
    /** The server's clock, where it is not the world's. */
    clock?: Clock;
  } = {},
): Promise<HostsRig> {
  const world = options.world ?? (await makeWorld());
  const agents: FakeAgent[] = [];
  for (let n = 1; n <= count; n += 1) agents.push(await world.addHost(n));
  options.prepare?.(world);
  const heard: Heard[] = [];
  const at = (): { atMs: number } => ({ atMs: world.clock.monotonicMs() });
  const listener: HostListener = {
    vmsListed: async (list) => void heard.push({ kind: 'list', ...at(), list }),
    vmChanged: async ({ vm }) => void heard.push({ kind: 'vm', ...at(), vmUuid: vm.vmUuid }),
    judged: async (judgement) => void heard.push({ kind: 'judged', ...at(), judgement }),
  };
  const power = new FakePower(world.clock);
  const hosts = makeHosts({
    ...world,
    clock: options.clock ?? world.clock,
    power: options.power ?? power,
    logins: makeHostLogins(world.store, plainVault),
    loginVault: plainVault,
    settings: { current: () => world.settings },
    ...(options.extensions && { extensions: options.extensions }),
  });
  if (options.start !== false) {
    await hosts.start(listener);
    await world.clock.advance(3_000);
  }
  return {
    ...world,
    hosts,
    agents,
    power,
    heard,
    listener,
    judgements: (hostUuid) =>
      heard.flatMap((it) =>
        it.kind === 'judged' && it.judgement.hostUuid === hostUuid
          ? [`${it.judgement.row} ${it.judgement.action}`]
          : [],
      ),
    livenesses: (hostUuid) =>
      world.seen.flatMap(({ kind, factsJson, hostUuid: of }) =>
        kind === 'host.liveness' && of === hostUuid
          ? [(JSON.parse(factsJson) as { to: string }).to]
          : [],
      ),
  };
}
