import { LabError } from '../labError.js';

export const fenceActions = [
  'on',
  'off',
  'reboot',
  'status',
  'monitor',
  'list',
  'metadata',
  'validate-all',
] as const;
export type FenceAction = (typeof fenceActions)[number];

export interface FenceParameters {
  readonly action: FenceAction;
  /** The host; needed for on, off, reboot and status. */
  readonly plug?: string;
  readonly labDir?: string;
  /** How long the device may take for one answer. */
  readonly timeoutMs: number;
}

/** Other names that fence agents are given for the same thing. */
const synonyms: Record<string, string> = { option: 'action', port: 'plug', labdir: 'lab_dir' };
const commandLine: Record<string, string> = {
  '-o': 'action',
  '--action': 'action',
  '-n': 'plug',
  '--plug': 'plug',
  '--lab-dir': 'lab_dir',
};

/**
 * Reads what a fence agent is told: `key=value` lines of standard input, or options. What it does
 * not know it ignores, as all fence agents do: their callers give one set of parameters to any.
 * @throws LabError for an unknown action, a missing plug or a bad time.
 */
export function fenceParameters(args: readonly string[], input: string): FenceParameters {
  const values = new Map<string, string>();
  for (const line of input.split('\n')) {
    const [, key = '', value = ''] = /^\s*([\w-]+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (key !== '') values.set(synonyms[key] ?? key, value);
  }
  for (let i = 0; i < args.length; i++) {
    const [name = '', attached] = (args[i] ?? '').split('=', 2);
    const key = commandLine[name];
    if (key !== undefined) values.set(key, attached ?? args[++i] ?? '');
  }
  const action = values.get('action') ?? 'reboot';
  if (!isFenceAction(action)) throw new LabError(`Unknown action '${action}'.`);
  const plug = values.get('plug');
  const needsPlug = ['on', 'off', 'reboot', 'status'].includes(action);
  if (needsPlug && !plug) throw new LabError('Which host? Give its name as plug.');
  const seconds = Number(values.get('timeout') ?? 20);
  if (!(seconds > 0 && seconds <= 600)) throw new LabError('timeout is 1 to 600 seconds.');
  const labDir = values.get('lab_dir');
  return {
    action,
    timeoutMs: seconds * 1_000,
    ...(plug !== undefined && { plug }),
    ...(labDir !== undefined && { labDir }),
  };
}

function isFenceAction(text: string): text is FenceAction {
  return (fenceActions as readonly string[]).includes(text);
}

interface DescribedParameter {
  readonly name: string;
  readonly type: 'string' | 'second';
  readonly text: string;
}

const described: readonly DescribedParameter[] = [
  { name: 'action', type: 'string', text: 'Fencing action' },
  { name: 'plug', type: 'string', text: 'Host, e.g. h1' },
  { name: 'lab_dir', type: 'string', text: 'Lab directory (default $FENCELINE_LAB_DIR)' },
  { name: 'timeout', type: 'second', text: 'Seconds for one answer of the device (default 20)' },
];

function parameterXml({ name, type, text }: DescribedParameter): string {
  return `\t<parameter name="${name}" unique="0" required="${name === 'action' ? 1 : 0}">
\t\t<content type="${type}" />
\t\t<shortdesc lang="en">${text}</shortdesc>
\t</parameter>`;
}

/** What a fence agent says about itself (RA API). */
export function fenceMetadata(): string {
  return `<?xml version="1.0" ?>
<resource-agent name="fence_lab" shortdesc="Power switch of the Fenceline lab">
<longdesc>Switches a host of the Fenceline lab off and on. Not for anything else.</longdesc>
<parameters>
${described.map(parameterXml).join('\n')}
</parameters>
<actions>
${fenceActions.map((action) => `\t<action name="${action}" />`).join('\n')}
</actions>
</resource-agent>`;
}
