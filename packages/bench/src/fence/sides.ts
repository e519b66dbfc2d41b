import { appendFileSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { agentRoutes, type FenceVmFromPeerRsp } from '@fenceline/protocol';
import type { Side } from '../interleave.js';
import type { Measured } from '../result.js';
import type { BenchHost, BenchSite, Timed } from '../site/site.js';
import { targetOf } from '../site/target.js';
import type { BenchVm, RunningVm } from '../site/vm.js';
import { labels } from './labels.js';
import { addStages } from './stages.js';

export interface FenceBench {
  readonly site: BenchSite;
  readonly vm: BenchVm;
  readonly suspect: BenchHost;
  readonly peer: BenchHost;
  /** Keeps a fence line to the suspect; `peer` doesn't. */
  readonly neighbour: BenchHost;
  readonly lines: boolean;
}

/** This host's own fence key, where its agent keeps it. */
const FENCE_KEY = '/var/lib/fenceline/agent/fence-key';

/** What the others log in with: an administrator's key, and the suspect's host key is known. */
export function letIn(peer: BenchHost, suspect: BenchHost): void {
  const file = peer.host.pathOf('/root/.ssh/known_hosts');
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  const { name, address } = suspect.host;
  appendFileSync(file, `${name},${address} ${suspect.hostKey}\n`);
}

/** Every way to end the VM, and the parts that can be measured by themselves. */
export function sidesOf(bench: FenceBench, measured: Measured): Side[] {
  return [
    ourSide(bench, measured, labels.cold),
    ...(bench.lines ? [ourSide(bench, measured, labels.line)] : []),
    programSide(bench, measured, labels.fenceVirsh),
    programSide(bench, measured, labels.openSsh),
    ourSide(bench, measured, labels.newConnection),
    floorSide(bench, measured),
    loginSide(bench, measured, labels.login),
    loginSide(bench, measured, labels.loginDelayed),
  ];
}

function ourSide(bench: FenceBench, measured: Measured, label: string): Side {
  const { site, vm, suspect } = bench;
  const overLine = label === labels.line;
  const [by, control] = overLine ? [bench.neighbour, bench.peer] : [bench.peer, bench.neighbour];
  const connection = label === labels.newConnection ? 'new' : 'standing';
  return {
    label,
    once: async () => {
      const run = await vm.start();
      if (overLine) await site.layLine(by, suspect);
      const orderToken = await site.newToken(suspect);
      const { vmUuid, epoch, disks } = run;
      const target = { ...targetOf(suspect, control), orderToken };
      const command = { ...target, vmUuid, fenceEpoch: epoch, disks };
      const timed = await site.call(by, { route: agentRoutes.fenceVm, command, connection });
      mustProve(timed);
      mustGo(timed, overLine ? 'line' : 'kex');
      await vm.mustBeGone(run);
      measured.add(label, timed.ms);
      if (connection === 'standing') addStages(measured, label, timed);
    },
  };
}

/** A side that went another way than its name says would compare something else. */
function mustGo({ rsp }: Timed<FenceVmFromPeerRsp>, stage: 'line' | 'kex'): void {
  const names = rsp.stages.map(({ name }) => name);
  const other = stage === 'line' ? 'kex' : 'line';
  if (!names.includes(stage) || names.includes(other))
    throw new Error(`it went another way: ${names.join(', ')}`);
}

function mustProve({ rsp }: Timed<FenceVmFromPeerRsp>): void {
  if (rsp.outcome !== 'confirmedDead') throw new Error(`${rsp.outcome}: ${rsp.detail ?? ''}`);
}

function programSide(
  { site, vm, suspect, peer }: FenceBench,
  measured: Measured,
  label: string,
): Side {
  const { address } = suspect.host;
  const key = site.lab.paths.sshKey;
  const command = ({ name, vmUuid }: RunningVm): string[] =>
    label === labels.fenceVirsh
      ? ['fence_virsh', '-a', address, '-l', 'root', '-x', '-k', key, '-n', name, '-o', 'off']
      : [
          'ssh',
          '-i',
          key,
          `root@${address}`,
          `virsh destroy ${name} && pgrep -f '[q]emu.*${vmUuid}'`,
        ];
  // pgrep: 1 = nothing found.
  const good = label === labels.fenceVirsh ? 0 : 1;
  return {
    label,
    once: async () => {
      const run = await vm.start();
      const { ms, code, output } = await peer.helper.do({ do: 'run', command: command(run) });
      if (code !== good) throw new Error(`ended with ${code}: ${output}`);
      await vm.mustBeGone(run);
      measured.add(label, ms);
    },
  };
}

function floorSide({ vm, suspect }: FenceBench, measured: Measured): Side {
  return {
    label: labels.floor,
    once: async () => {
      const { pid } = await vm.start();
      measured.add(labels.floor, (await suspect.helper.do({ do: 'kill', pid })).ms);
    },
  };
}

function loginSide({ suspect, peer }: FenceBench, measured: Measured, label: string): Side {
  const { hostKey, host } = suspect;
  const noDelay = label === labels.login;
  const to = { host: host.address, keyFile: FENCE_KEY, hostKey, noDelay };
  return {
    label,
    once: async () => measured.add(label, (await peer.helper.do({ do: 'login', ...to })).ms),
  };
}
