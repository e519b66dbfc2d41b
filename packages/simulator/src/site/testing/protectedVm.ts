import type { apiRoutes, Client } from '@fenceline/protocol';
import { AGENT_PORT, SSH_PORT } from '../../ports/connection.js';
import { SimSite, type SimSiteOptions } from '../simSite.js';
import { onVirtualTime } from '../virtualApi.js';

/** A site whose VM `web1` runs, protected, on `h1`. */
export interface ProtectedVm {
  site: SimSite;
  api: Client<typeof apiRoutes>;
  vmUuid: string;
}

const limit = { deadlineMs: 60_000 };

/** @param options `power`: `h1` has a power device, and its mapping is proven. */
export async function protectedVm(
  options: SimSiteOptions & { power?: boolean },
): Promise<ProtectedVm> {
  const site = new SimSite({
    ...options,
    settings: (settings) => {
      settings.ha.agentDown.withoutHeartbeat = 'fence';
      options.settings?.(settings);
    },
  });
  const { world } = site;
  await world.clock.settle(site.server.start());
  await world.clock.advance(1_000);
  const api = onVirtualTime(world, site.server.api);
  for (const { name, address } of world.hosts)
    await api.addHost(
      {
        ...{ name, addresses: [address], agentPort: AGENT_PORT, sshPort: SSH_PORT },
        sshUsername: 'root',
        ...(options.power === true &&
          name === 'h1' && {
            powerDevice: { agent: 'fence_simulated', parameters: { plug: name } },
          }),
      },
      limit,
    );
  await untilSo(site, async () => {
    const { items } = await api.listHosts({}, limit);
    return items.every(({ status, liveness }) => status === 'Connected' && liveness === 'online');
  });
  if (options.power === true) {
    await api.verifyHostPower({ host: 'h1' }, limit);
    await world.clock.advance(5_000);
  }
  const { uuid } = site.defineVm('web1');
  await api.importVm({ host: 'h1', vm: 'web1' }, limit);
  await api.protectVm({ vm: 'web1', level: 'onHostFailure' }, limit);
  await api.startVm({ vm: 'web1', host: 'h1' }, limit);
  await untilSo(site, async () => {
    const vm = await api.showVm({ vm: 'web1' }, limit);
    return vm.state === 'Running' && vm.hostName === 'h1' && vm.openTaskUuid === null;
  });
  return { site, api, vmUuid: uuid };
}

/** Lets time pass until it is so. @throws Error after `limitMs` of virtual time. */
export async function untilSo(
  { world }: SimSite,
  isSo: () => Promise<boolean> | boolean,
  limitMs = 120_000,
): Promise<void> {
  const endMs = world.clock.monotonicMs() + limitMs;
  while (!(await isSo())) {
    if (world.clock.monotonicMs() > endMs) throw new Error(`not so within ${limitMs} ms`);
    await world.clock.advance(100);
  }
}

/** Agent and libvirt of a host die for good; its qemus live on. */
export function leaveQemuBehind(site: SimSite, host: string): void {
  site.agent(host).crash({ stays: true });
  site.world.host(host).killLibvirtd({ stays: true });
}
