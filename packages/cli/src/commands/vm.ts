import { HA_LEVELS, PRIORITIES, VM_STATES, type VmWorkView } from '@fenceline/protocol';
import { UsageError } from '../failure.js';
import { given, oneOf } from '../flags.js';
import { kebab } from '../render/words.js';
import { vmLines, vmTable } from '../render/vms.js';
import { allItems, type Session } from '../session.js';
import { waitRunning, waitTask } from '../wait.js';
import { word, type Add } from './command.js';

const START_LIMIT_MS = 300_000;
/** A graceful stop may take ten minutes. */
const STOP_LIMIT_MS = 660_000;

export function addVmCommands(add: Add): void {
  addReaders(add);
  addCare(add);
  addPower(add);
}

interface ListFlags {
  cluster?: string;
  host?: string;
  state?: string;
  level?: string;
}

function addReaders(add: Add): void {
  add<ListFlags>({
    name: 'list',
    summary: 'VMs by name.',
    options: [
      ['--cluster <cluster>', 'uuid or name'],
      ['--host <host>', 'uuid or name'],
      ['--state <state>', VM_STATES.join(', ')],
      ['--level <level>', HA_LEVELS.map(kebab).join(', ')],
    ],
    run: async (session, _words, flags) => {
      const query = given({
        cluster: flags.cluster,
        host: flags.host,
        state: oneOf('--state', flags.state, VM_STATES),
        level: oneOf('--level', flags.level, HA_LEVELS),
      });
      const vms = await allItems(session.api.listVms, query, session);
      session.show(vms, (items) => vmTable(items, session.paint));
    },
  });
  add({
    name: 'show <vm>',
    summary: 'One VM by uuid or unique name, with its runs.',
    run: async (session, words) => {
      const vm = await session.api.showVm({ vm: word(words) }, session.call);
      session.show(vm, (view) => vmLines(view, session.paint));
    },
  });
}

function addCare(add: Add): void {
  add<{ host?: string }>({
    name: 'import <vm>',
    summary: 'Put a VM that a host has under the care of the server.',
    options: [['--host <host>', 'uuid or name of the host that has it']],
    run: async (session, words, { host }) => {
      if (host === undefined) throw new UsageError('--host is missing: which host has the VM?');
      const vm = await session.api.importVm({ host, vm: word(words) }, session.call);
      session.show(vm, (view) => vmLines(view, session.paint));
    },
  });
  add<{ level?: string; priority?: string }>({
    name: 'protect <vm>',
    summary: 'Say whether and in which order HA brings the VM back.',
    options: [
      ['--level <level>', HA_LEVELS.map(kebab).join(', ')],
      ['--priority <priority>', PRIORITIES.join(', ')],
    ],
    run: async (session, words, flags) => {
      const wish = given({
        level: oneOf('--level', flags.level, HA_LEVELS),
        priority: oneOf('--priority', flags.priority, PRIORITIES),
      });
      if (Object.keys(wish).length === 0)
        throw new UsageError('nothing to change: give --level or --priority');
      const vm = await session.api.protectVm({ vm: word(words), ...wish }, session.call);
      session.show(vm, (view) => vmLines(view, session.paint));
    },
  });
}

interface PowerFlags {
  host?: string;
  reason?: string;
  graceful?: boolean;
  wait?: boolean;
}

function addPower(add: Add): void {
  add<PowerFlags>({
    name: 'start <vm>',
    summary: 'Start a VM; refused while another run of it is not proven over.',
    options: [
      ['--host <host>', 'uuid or name; refused if it can not take it (default: placement decides)'],
      ['--reason <text>', 'for the audit'],
      ['--wait', 'wait until it is seen running'],
    ],
    run: async (session, words, { host, reason, wait }) => {
      const request = { vm: word(words), ...given({ host, reason }) };
      const options = { ...session.call, deadlineMs: START_LIMIT_MS };
      const work = await session.api.startVm(request, options);
      await finish(session, work, { wait: wait ?? false, done: `${word(words)} is starting` });
    },
  });
  add<PowerFlags>({
    name: 'stop <vm>',
    summary: 'Stop a VM; HA leaves it alone afterwards.',
    options: [
      ['--graceful', 'ask the guest first'],
      ['--reason <text>', 'for the audit'],
    ],
    run: async (session, words, { graceful, reason }) => {
      const request = { vm: word(words), ...given({ graceful, reason }) };
      const options = { ...session.call, deadlineMs: STOP_LIMIT_MS };
      const work = await session.api.stopVm(request, options);
      session.show(work, () => [`${word(words)} is stopped`]);
    },
  });
  add<PowerFlags>({
    name: 'ha-start <vm>',
    summary: 'Bring a VM back as if its host had failed: fence first, then start.',
    options: [
      ['--reason <text>', 'why; required'],
      ['--wait', 'wait until the task has ended'],
    ],
    run: async (session, words, { reason, wait }) => {
      if (reason === undefined) throw new UsageError('--reason is missing: why is this needed?');
      const work = await session.api.haStartVm({ vm: word(words), reason }, session.call);
      const done = `HA task ${work.taskUuid ?? ''} is at work: fenceline task show ${work.taskUuid ?? ''}`;
      await finish(session, work, { wait: wait ?? false, done });
    },
  });
}

/** Shows what was begun; with `wait`, once it has ended. */
async function finish(
  session: Session,
  work: VmWorkView,
  { wait, done }: { wait: boolean; done: string },
): Promise<void> {
  if (!wait) {
    session.show(work, () => [done]);
    return;
  }
  if (work.taskUuid !== null) await waitTask(session, work.taskUuid, START_LIMIT_MS);
  const vm = await waitRunning(session, work.vmUuid, START_LIMIT_MS);
  session.show(vm, (view) => vmLines(view, session.paint));
}
