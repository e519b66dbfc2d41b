import { FencelineCluster, Lab, type ClusterOptions, type HostHandle } from '@fenceline/lab';
import type { VmDetailView } from '@fenceline/protocol';

const LIMIT = { deadlineMs: 30_000 };
const LONG = { deadlineMs: 300_000 };

export interface Site {
  lab: Lab;
  cluster: FencelineCluster;
  hosts: HostHandle[];
}

/** Three hosts with Fenceline, added and online; ends with this process. */
export async function openSite(
  dir: string,
  options: ClusterOptions & { power?: boolean } = {},
): Promise<Site> {
  const lab = Lab.open({ dir, endsWithMe: true });
  await lab.purge();
  await lab.up(3);
  const cluster = await FencelineCluster.start(lab, options);
  const hosts = await cluster.hosts();
  const power = options.power ?? false;
  await Promise.all(
    hosts.map((host) => cluster.api.addHost(cluster.addRequest(host, { power }), LIMIT)),
  );
  const site = { lab, cluster, hosts };
  await allOnline(site);
  if (!power) return site;
  for (const host of hosts) await cluster.api.verifyHostPower({ host: host.name }, LONG);
  await allOnline(site);
  return site;
}

export async function closeSite(site: Site | undefined): Promise<void> {
  site?.cluster.close();
  await site?.lab.purge();
}

export async function allOnline({ cluster }: Site): Promise<void> {
  await eventually('every host is online', async () => {
    const { items } = await cluster.api.listHosts({}, LIMIT);
    return items.every((host) => host.status === 'Connected' && host.liveness === 'online');
  });
}

/** A protected VM that is seen running on a host. */
export async function runVm(site: Site, name: string, host: HostHandle): Promise<void> {
  const { api } = site.cluster;
  await site.cluster.defineVm(name, site.hosts);
  await api.importVm({ host: host.name, vm: name }, LIMIT);
  await api.protectVm({ vm: name, level: 'onHostFailure' }, LIMIT);
  await api.startVm({ vm: name, host: host.name }, LIMIT);
  await eventually(`${name} runs on ${host.name}`, async () => {
    const vm = await showVm(site, name);
    return vm.state === 'Running' && vm.hostName === host.name && vm.openTaskUuid === null;
  });
}

export function showVm({ cluster }: Site, name: string): Promise<VmDetailView> {
  return cluster.api.showVm({ vm: name }, LIMIT);
}

/** Looks again and again. @throws Error if it is not so within `limitMs`. */
export async function eventually(
  what: string,
  isSo: () => Promise<boolean>,
  limitMs = 90_000,
): Promise<void> {
  const endMs = Date.now() + limitMs;
  while (!(await isSo())) {
    if (Date.now() > endMs) throw new Error(`not within ${limitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
