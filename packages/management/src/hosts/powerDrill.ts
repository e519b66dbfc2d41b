import { sleep, type Clock } from '@fenceline/common';
import { agentRoutes, DomainError } from '@fenceline/protocol';
import type { PowerDevice, PowerState } from '../fencing/power/powerDevice.js';
import type { PowerLevel, StoredPowerDevice } from '../fencing/power/powerTopology.js';
import type { SettingsSource } from '../settings/settings.js';
import type { AgentGateway } from './agentGateway.js';
import { agentOf, type Host } from './host.js';

const PING_MS = 2_000;
const POLL_MS = 1_000;
/** Readings after a command until one says what is wished. */
const MAX_READINGS = 30;
/** A host that was switched off has to fall silent within this, ms. */
const GONE_WITHIN_MS = 15_000;
/** A host that lives on one of its feeds has to do so for so many polls. */
const STAYS_POLLS = 4;
/** Firmware of large machines takes minutes. */
const BACK_WITHIN_MS = 10 * 60_000;

export interface PowerDrillDeps {
  clock: Clock;
  gateway: AgentGateway;
  settings: SettingsSource;
  power: PowerDevice;
}

type Devices = readonly StoredPowerDevice[];

/**
 * Proves that every device of a level feeds exactly this host, and that together they are all that
 * feeds it. With several: each one alone, with all others read as off, must keep the host running
 * under the same boot; so each of them feeds it. Then all of them off, read back, and the host
 * falls silent; all on, read back, and it comes back under a new boot. A host that can't live on
 * one supply can't be told from a wrong outlet this way, and does not pass.
 * @throws DomainError CONFLICT, REFUSED with what was seen, TIMED_OUT.
 */
export async function drillLevel(
  deps: PowerDrillDeps,
  host: Host,
  { devices }: PowerLevel,
): Promise<void> {
  for (const device of devices) {
    const before = await deps.power.status(device.config, limitOf(deps));
    if (before !== 'on')
      throw new DomainError(
        'REFUSED',
        `the device${nameOf(device, devices)} reads ${before} although ${host.name} runs`,
      );
  }
  const boot = await pingBoot(deps, host);
  if (boot === undefined) throw new DomainError('CONFLICT', `${host.name} does not answer`);
  if (devices.length > 1)
    for (const device of devices) await staysOn(deps, host, { device, devices, boot });
  await switched(deps, devices, () => untilGone(deps, host));
  await untilBack(deps, host, boot);
}

/** The host lives on this feed alone. */
async function staysOn(
  deps: PowerDrillDeps,
  host: Host,
  { device, devices, boot }: { device: StoredPowerDevice; devices: Devices; boot: string },
): Promise<void> {
  const others = devices.filter((other) => other !== device);
  await switched(deps, others, async () => {
    for (let i = 0; i < STAYS_POLLS; i += 1) {
      const now = await pingBoot(deps, host);
      // safety: an outlet that feeds another machine would make "all off" of this level a lie.
      if (now !== boot)
        throw new DomainError(
          'REFUSED',
          `${host.name} did not live on with only the device${nameOf(device, devices)} on: ` +
            'that one does not feed it, or one supply is not enough for it',
        );
      await sleep(deps.clock, POLL_MS);
    }
  });
}

/** Off and read back, what is to be seen then, and on again whatever was seen. */
async function switched(
  deps: PowerDrillDeps,
  devices: Devices,
  see: () => Promise<void>,
): Promise<void> {
  const { power } = deps;
  try {
    for (const { config } of devices) {
      await power.off(config, limitOf(deps));
      await readUntil(deps, config, 'off');
    }
    // safety: off at one moment, not one after the other.
    if (devices.length > 1)
      for (const { config } of devices) await readUntil(deps, config, 'off', 1);
    await see();
  } finally {
    // Whatever was seen: nothing is left switched off.
    for (const { config } of devices) await power.on(config, limitOf(deps)).catch(() => undefined);
  }
  for (const { config } of devices) await readUntil(deps, config, 'on');
}

async function readUntil(
  deps: PowerDrillDeps,
  config: StoredPowerDevice['config'],
  ...[wanted, readings = MAX_READINGS]: [wanted: 'on' | 'off', readings?: number]
): Promise<void> {
  let seen: PowerState = 'unknown';
  for (let i = 0; i < readings; i += 1) {
    if (i > 0) await sleep(deps.clock, POLL_MS);
    seen = await deps.power.status(config, limitOf(deps));
    if (seen === wanted) return;
  }
  throw new DomainError('REFUSED', `the device was told ${wanted} and still reads ${seen}`);
}

async function untilGone(deps: PowerDrillDeps, host: Host): Promise<void> {
  const endMs = deps.clock.monotonicMs() + GONE_WITHIN_MS;
  while (deps.clock.monotonicMs() < endMs) {
    if ((await pingBoot(deps, host)) === undefined) return;
    await sleep(deps.clock, POLL_MS);
  }
  throw new DomainError(
    'REFUSED',
    `the device reads off, but ${host.name} still answers: it switches another machine, or ` +
      'something else feeds this one, too',
  );
}

async function untilBack(deps: PowerDrillDeps, host: Host, boot: string): Promise<void> {
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
async function pingBoot({ gateway }: PowerDrillDeps, host: Host): Promise<string | undefined> {
  const call = { command: {}, deadlineMs: PING_MS };
  return gateway.call(agentOf(host), agentRoutes.ping, call).then(
    ({ bootId }) => bootId,
    () => undefined,
  );
}

export function limitOf({ settings }: Pick<PowerDrillDeps, 'settings'>): { timeoutMs: number } {
  return { timeoutMs: settings.current().ha.power.commandTimeoutMs };
}

/** Which one, where there are several; never its parameters. */
function nameOf(device: StoredPowerDevice, devices: Devices): string {
  if (devices.length === 1) return '';
  return ` ${devices.indexOf(device) + 1} (${device.config.agent})`;
}
