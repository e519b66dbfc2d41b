import type { FakeAgent } from '../../hosts/testing/fakeAgent.js';
import { makeHostLogins } from '../../hosts/hostLogins.js';
import { sealFor, Secret, type Logger } from '@fenceline/common';
import type { LoginVault } from '../../hosts/hostLogins.js';
import { FakePower } from '../../hosts/testing/fakePower.js';
import { makeWorld, type World } from '../../hosts/testing/world.js';
import { makeHosts, type Hosts } from '../../hosts/hosts.js';
import { makeFencingReadiness, readinessExtensions, type FencingReadiness } from '../readiness.js';

/** As the real one: nothing can be read from what is stored, and it opens for its owner only. */
export function makeVault(key = 'key'): LoginVault {
  return {
    seal: async (owner, secret) =>
      Buffer.from(JSON.stringify([key, owner, secret.reveal()])).toString('base64'),
    open: async (owner, sealed) => {
      const text = Buffer.from(sealed, 'base64').toString();
      const [of, whose, secret] = JSON.parse(text) as [string, string, string];
      if (of !== key || whose !== owner) throw new Error('it can not be opened');
      return new Secret(secret);
    },
    sealFor,
  };
}

export interface ReadinessRig extends World {
  agents: FakeAgent[];
  hosts: Hosts;
  readiness: FencingReadiness;
  /** Of the next life of the server. */
  loginVault: LoginVault;
  /** The next life of the server, on the same store. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** Hosts with fake agents, and the part of the server that gets them ready to be fenced. */
export async function readinessRig(
  count: number,
  options: { prepare?: (world: World) => void; log?: Logger } = {},
): Promise<ReadinessRig> {
  const world = await makeWorld(options.log);
  const agents: FakeAgent[] = [];
  for (let n = 1; n <= count; n += 1) agents.push(await world.addHost(n));
  options.prepare?.(world);
  const settings = { current: () => world.settings };
  const listener = {
    vmsListed: async () => undefined,
    vmChanged: async () => undefined,
    judged: async () => undefined,
  };
  const begin = async (
    loginVault: LoginVault,
  ): Promise<Pick<ReadinessRig, 'hosts' | 'readiness'>> => {
    const hosts = makeHosts({
      ...world,
      settings,
      logins: makeHostLogins(world.store, loginVault),
      loginVault,
      power: new FakePower(world.clock),
      extensions: readinessExtensions(() => readiness),
    });
    const { presence, repository } = hosts;
    const own = { settings, presence, repository, loginVault };
    const readiness = makeFencingReadiness({ ...world, ...own });
    await hosts.start(listener);
    readiness.start();
    await world.clock.advance(3_000);
    return { hosts, readiness };
  };
  const end = async ({ hosts, readiness }: typeof rig): Promise<void> => {
    await world.clock.settle(readiness.stop());
    await world.clock.settle(hosts.stop());
  };
  const rig: ReadinessRig = {
    ...world,
    agents,
    loginVault: makeVault(),
    ...(await begin(makeVault())),
    restart: async () => {
      await end(rig);
      Object.assign(rig, await begin(rig.loginVault));
    },
    stop: () => end(rig),
  };
  return rig;
}
