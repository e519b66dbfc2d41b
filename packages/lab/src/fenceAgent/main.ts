import { readFileSync } from 'node:fs';
import type { PowerReply } from '../daemon/powerDevice.js';
import { LabError, messageOf } from '../labError.js';
import { labPaths } from '../plan/paths.js';
import { callRpc } from '../rpc.js';
import { unreachable } from '../unreachable.js';
import { fenceMetadata, fenceParameters, type FenceParameters } from './parameters.js';

/** Exit codes of fence agents: 0 done (status: on), 1 failed, 2 status: off. */
async function main(): Promise<number> {
  const args = process.argv.slice(2);
  const parameters = fenceParameters(args, args.length > 0 ? '' : readFileSync(0, 'utf8'));
  switch (parameters.action) {
    case 'metadata':
      say(fenceMetadata());
      return 0;
    case 'validate-all':
      return 0;
    case 'status':
      return status(parameters);
    case 'monitor':
      await ask(parameters, 'list');
      return 0;
    case 'list':
      for (const plug of (await ask(parameters, 'list')).plugs ?? []) say(`${plug},`);
      return 0;
    case 'on':
    case 'off':
      await change(parameters, parameters.action);
      say(`Success: Powered ${parameters.action.toUpperCase()}`);
      return 0;
    case 'reboot':
      await change(parameters, 'off');
      await change(parameters, 'on');
      say('Success: Rebooted');
      return 0;
    default:
      return unreachable(parameters.action);
  }
}

async function status(parameters: FenceParameters): Promise<number> {
  const { power } = await ask(parameters, 'status');
  if (power === undefined) throw new LabError('The power state cannot be read.');
  say(`Status: ${power.toUpperCase()}`);
  return power === 'on' ? 0 : 2;
}

/** Switches and reads the state back: what the device says it did is not yet what is. */
async function change(parameters: FenceParameters, power: 'on' | 'off'): Promise<void> {
  await ask(parameters, power);
  const now = (await ask(parameters, 'status')).power;
  if (now !== power)
    throw new LabError(`The host is ${now ?? 'in an unknown state'}, not ${power}.`);
}

async function ask(parameters: FenceParameters, action: string): Promise<PowerReply> {
  const { powerSocket } = labPaths(parameters.labDir);
  const request = { action, plug: parameters.plug };
  return (await callRpc(powerSocket, request, parameters.timeoutMs)) as PowerReply;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`Failed: ${messageOf(error)}\n`);
  process.exitCode = 1;
}
