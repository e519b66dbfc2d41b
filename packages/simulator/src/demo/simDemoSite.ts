import type { DemoSite } from '@fenceline/common/demo';
import type { DiskVerdict } from '../checker/checkDisk.js';
import { AGENT_PORT, SSH_PORT } from '../ports/connection.js';
import { SimSite, type SimSiteOptions } from '../site/simSite.js';
import { onVirtualTime } from '../site/virtualApi.js';
import type { World } from '../world/world.js';

/** The demo on simulated hosts: the real server and agents on virtual time. */
export async function openSimDemoSite(
  options: SimSiteOptions,
  { powerDevices }: { powerDevices: boolean },
): Promise<DemoSite & { site: SimSite }> {
  const site = new SimSite({
    ...options,
    settings: (settings) => {
      // No storage heartbeats exist yet: a host that nobody reaches is fenced, as in the lab.
      settings.ha.agentDown.withoutHeartbeat = 'fence';
      options.settings?.(settings);
    },
  });
  const { world, server } = site;
  await world.clock.settle(server.start());
  // The agents are up before anybody calls them.
  await world.clock.advance(1_000);
  return {
    site,
    api: onVirtualTime(world, server.api),
    hosts: world.hosts.map(({ name, address }) => ({
      name,
      addresses: [address],
      agentPort: AGENT_PORT,
      sshPort: SSH_PORT,
      sshUsername: 'root',
      ...(powerDevices
        ? { powerDevice: { agent: 'fence_simulated', parameters: { plug: name } } }
        : {}),
    })),
    wallMs: () => world.clock.wallMs(),
    sleep: (ms) => world.clock.advance(ms),
    defineVm: async (name) => void site.defineVm(name),
    hurt: async (host, fault) => {
      if (fault === 'powerCut') world.host(host).powerOff();
      if (fault === 'stuck') await hangInWrite(world, host);
      if (fault !== 'powerCut') {
        site.agent(host).crash({ stays: true });
        world.host(host).killLibvirtd({ stays: true });
      }
    },
    storageReturns: async (host) => world.storage.resume(host),
    check: async (vm) => wordOf(site.check(vm)),
    close: async () => undefined,
  };
}

/** The storage hangs, and the guest's next write with it. */
async function hangInWrite(world: World, host: string): Promise<void> {
  world.trace.add(host, 'its storage hangs');
  world.storage.hang(host);
  await world.clock.advance(GUEST_WRITES_WITHIN_MS);
}

const GUEST_WRITES_WITHIN_MS = 500;

const WORDS: Record<DiskVerdict['verdict'], string> = {
  oneWriter: 'one writer at any moment',
  twoWriters: 'TWO WRITERS',
  lateWrite: 'A LATE WRITE of an older life',
  noData: 'nothing was ever written',
};

function wordOf({ verdict, liveWriters, lives, reasons }: DiskVerdict) {
  const text = `${WORDS[verdict]} (lives that wrote: ${lives})`;
  const together = verdict === 'lateWrite' ? 2 : liveWriters;
  return {
    liveWriters: verdict === 'noData' ? 0 : together,
    text: [text, ...reasons].join('; '),
  };
}
