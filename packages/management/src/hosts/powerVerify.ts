import {
  isoNow,
  makeSingleFlight,
  messageOf,
  sleep,
  withLimit,
  type Clock,
} from '@fenceline/common';
import { agentRoutes, DomainError } from '@fenceline/protocol';
import type { PowerDevice, PowerDeviceConfig, PowerState } from '../fencing/powerDevice.js';
import type { MessageBus } from '../messages/bus.js';
import type { SettingsSource } from '../settings/settings.js';
import type { HostState } from '../store/schema.js';
import type { Events } from '../telemetry/events.js';
import type { AgentGateway } from './agentGateway.js';
import type { HostPresence } from './contracts.js';
import { reconnectMessage } from './connect/messages.js';
import { agentOf, type Host } from './host.js';
import type { InventoryRepository } from './inventoryRepository.js';
import type { HostRepository } from './repository.js';

const PING_MS = 2_000;
const POLL_MS = 1_000;
/** Readings after a command until one says what is wished. */
const MAX_READINGS = 30;
/** A host that was switched off has to fall silent within this, ms. */
const GONE_WITHIN_MS = 15_000;
/** Firmware of large machines takes minutes. */
const BACK_WITHIN_MS = 10 * 60_000;
/** How long the end of its reconnect is waited for. */
const RECONNECT_WAIT_MS = 60_000;

export interface PowerVerifyDeps {
  clock: Clock;
  events: Events;
  bus: MessageBus;
  gateway: AgentGateway;
  settings: SettingsSource;
  repository: HostRepository;
  inventory: InventoryRepository;
  presence: HostPresence;
  power: PowerDevice;
}

/**
 * Proves that a power device switches exactly this host: off, read back as off, and the host falls
 * silent; on, read back as on, and it comes back under a new boot. Only for a Connected host with
 * no open run; it is in maintenance meanwhile, so that nothing is placed there and nobody takes it
 * for dead. Ends when its reconnect has ended, well or not, or takes long.
 * @throws DomainError CONFLICT, REFUSED with what was seen, TIMED_OUT.
 */
export type VerifyPower = (hostUuid: string) => Promise<{ verifiedAt: string }>;

export function makeVerifyPower(deps: PowerVerifyDeps): VerifyPower {
  const flights = makeSingleFlight();
  return (hostUuid) => flights.run(hostUuid, () => verify(deps, hostUuid));
}

async function verify(deps: PowerVerifyDeps, hostUuid: string): Promise<{ verifiedAt: string }> {
  const { repository, inventory, events, clock } = deps;
  const host = await repository.get(hostUuid);
  const device = await inventory.powerDevice(hostUuid);
  if (device === undefined)
    throw new DomainError('CONFLICT', `${host.name} has no power device; set one first`);
  if (host.status !== 'Connected' || host.bootId === null)
    throw new DomainError(
      'CONFLICT',
      `${host.name} is not Connected; its return could not be seen`,
    );
  await refuseOpenRuns(deps, host);
  await enterMaintenance(deps, host);
  let last: PowerState = 'unknown';
  try {
    // safety: asked again now that nothing new can be placed there.
    await refuseOpenRuns(deps, host);
    await tryDevice(deps, host, device.config);
    last = 'on';
    const verifiedAt = isoNow(clock);
    await inventory.setVerified(hostUuid, device.config, verifiedAt);
    const text = `host ${host.name}: its power device was seen to switch exactly this host`;
    await events.record({ kind: 'host.powerVerified', hostUuid, text });
    return { verifiedAt };
  } catch (thrown) {
    const text = `host ${host.name}: its power device is not proven: ${messageOf(thrown)}`;
    await events.record({ kind: 'host.powerNotProven', severity: 'warning', hostUuid, text });
    last = await deps.power.status(device.config, limitOf(deps));
    throw thrown;
  } finally {
    await leaveMaintenance(deps, host, last);
  }
}

async function refuseOpenRuns({ inventory, presence }: PowerVerifyDeps, host: Host): Promise<void> {
  // safety: what the host itself shows counts too; the ledger may not know of it yet.
  const live = presence.liveVms(host.uuid) ?? [];
  if (live.length > 0)
    throw new DomainError(
      'REFUSED',
      `${host.name} shows ${live.length} running VMs; move or stop them first`,
    );
  const runs = await inventory.openRuns(host.uuid);
  if (runs.length === 0) return;
  throw new DomainError(
    'REFUSED',
    `${host.name} has ${runs.length} open runs of VMs; move or stop them first`,
    { openRuns: runs.length },
  );
}

async function tryDevice(
  deps: PowerVerifyDeps,
  host: Host,
  config: PowerDeviceConfig,
): Promise<void> {
  const { power } = deps;
  const before = await power.status(config, limitOf(deps));
  if (before !== 'on')
    throw new DomainError('REFUSED', `the device reads ${before} although ${host.name} runs`);
  const boot = await pingBoot(deps, host);
  if (boot === undefined) throw new DomainError('CONFLICT', `${host.name} does not answer`);
  try {
    await power.off(config, limitOf(deps));
    await readUntil(deps, config, 'off');
    await untilGone(deps, host);
  } finally {
    // Whatever was seen: nothing is left switched off.
    await power.on(config, limitOf(deps)).catch(() => undefined);
  }
  await readUntil(deps, config, 'on');
  await untilBack(deps, host, boot);
}

async function readUntil(
  deps: PowerVerifyDeps,
  config: PowerDeviceConfig,
  wanted: 'on' | 'off',
): Promise<void> {
  let seen: PowerState = 'unknown';
  for (let i = 0; i < MAX_READINGS; i += 1) {
    if (i > 0) await sleep(deps.clock, POLL_MS);
    seen = await deps.power.status(config, limitOf(deps));
    if (seen === wanted) return;
  }
  throw new DomainError('REFUSED', `the device was told ${wanted} and still reads ${seen}`);
}

async function untilGone(deps: PowerVerifyDeps, host: Host): Promise<void> {
  const endMs = deps.clock.monotonicMs() + GONE_WITHIN_MS;
  while (deps.clock.monotonicMs() < endMs) {
    if ((await pingBoot(deps, host)) === undefined) return;
    await sleep(deps.clock, POLL_MS);
  }
  throw new DomainError(
    'REFUSED',
    `the device reads off, but ${host.name} still answers: it switches another machine`,
  );
}

async function untilBack(deps: PowerVerifyDeps, host: Host, boot: string): Promise<void> {
  const endMs = deps.clock.monotonicMs() + BACK_WITHIN_MS;
  while (deps.clock.monotonicMs() < endMs) {
    const now = await pingBoot(deps, host);
    // safety: the same boot was never without power: it was another machine that went off.
    if (now === boot)
      throw new DomainError('REFUSED', `${host.name} came back under the same boot`);
    if (now !== undefined) return;
    await sleep(deps.clock, POLL_MS);
  }
  throw new DomainError('TIMED_OUT', `${host.name} did not come back; look at its console`);
}

/** Boot id that answers, or undefined: no answer. */
async function pingBoot({ gateway }: PowerVerifyDeps, host: Host): Promise<string | undefined> {
  const call = { command: {}, deadlineMs: PING_MS };
  return gateway.call(agentOf(host), agentRoutes.ping, call).then(
    ({ bootId }) => bootId,
    () => undefined,
  );
}

function limitOf({ settings }: PowerVerifyDeps): { timeoutMs: number } {
  return { timeoutMs: settings.current().ha.power.commandTimeoutMs };
}

const TRIAL = 'its power device is being tried';

async function enterMaintenance({ repository }: PowerVerifyDeps, host: Host): Promise<void> {
  if (host.state === 'Maintenance') return;
  if (host.state !== 'PreMaintenance') await repository.applyState(host.uuid, 'preMaintain', TRIAL);
  await repository.applyState(host.uuid, 'maintain', TRIAL);
}

async function leaveMaintenance(
  { repository, bus, settings, clock }: PowerVerifyDeps,
  host: Host,
  power: PowerState,
): Promise<void> {
  const before: HostState = host.state;
  if (before === 'Maintenance') return;
  // A host whose power is not known to be on gets no VMs until a person has looked.
  const enable = before === 'Enabled' && power === 'on';
  const reason = `${TRIAL}: over (power ${power})`;
  await repository.applyState(host.uuid, enable ? 'enable' : 'disable', reason);
  const ask = { hostUuid: host.uuid, calledBy: 'maintenance' } as const;
  // Whoever goes on when this has ended relies on a host that is connected, not on one that was. One
  // that began before the agent answered may be shared, and fail: then it is tried once more. How it
  // ends changes nothing about what was seen of the device; a long one goes on by itself.
  const reconnect = async (): Promise<void> => {
    const message = reconnectMessage(settings.current(), ask);
    const { error } = await bus.send('ReconnectHost', message);
    if (error !== undefined) await bus.send('ReconnectHost', message);
  };
  const limit = { clock, ms: RECONNECT_WAIT_MS, what: `reconnect of ${host.name}` };
  await withLimit(limit, reconnect).catch(() => undefined);
}
