import type { HostView, Severity, TaskState, VmView } from '@fenceline/protocol';
import { cell, type Cell, type Tone } from './text.js';

/** `neverStop` → `never-stop`, as people type it. */
export function kebab(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** `never-stop` → `neverStop`, as the API says it; what is camelCase already stays. */
export function camel(name: string): string {
  return name.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

export function livenessCell({ liveness }: HostView): Cell {
  const tones: Record<HostView['liveness'], Tone> = {
    online: 'good',
    late: 'warn',
    suspect: 'bad',
    isolated: 'bad',
    fencing: 'bad',
    fenced: 'bad',
  };
  return cell(liveness, tones[liveness]);
}

export function statusCell({ status }: HostView): Cell {
  const tones = { Connected: 'good', Connecting: 'warn', Disconnected: 'bad' } as const;
  return cell(status, tones[status]);
}

export function vmStateCell({ state }: VmView): Cell {
  if (state === 'Running') return cell(state, 'good');
  return cell(state, state === 'Crashed' || state === 'Unknown' ? 'bad' : 'warn');
}

/** What stands in the column "protected". */
export function protectedCell(vm: VmView): Cell {
  const proofs = vm.proofs.map((proof) => (proof === 'peer' ? 'peer while SSH answers' : proof));
  if (vm.protected) return cell(`yes (${proofs.join(', ')})`, 'good');
  const rests = vm.stoppedByPerson && vm.state === 'Stopped';
  const wanted = vm.level !== 'none' && !rests;
  return cell(`no: ${vm.protection}`, wanted ? 'bad' : 'dim');
}

export function taskStateCell(state: TaskState): Cell {
  if (state === 'done') return cell(state, 'good');
  if (state === 'refused' || state === 'abandoned') return cell(state, 'bad');
  return cell(state, state === 'cancelled' ? 'dim' : 'warn');
}

export function severityTone(severity: Severity): Tone {
  const tones = { info: 'plain', warning: 'warn', critical: 'bad' } as const;
  return tones[severity];
}

/** Whether libvirt there refuses starts by hand of protected VMs. */
export function hookCell(working: boolean | null): Cell {
  if (working === null) return cell('unknown', 'warn');
  return working ? cell('works', 'good') : cell('fails', 'bad');
}
