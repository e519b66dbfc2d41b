import type { ProbeEnd } from './hookPorts.js';

export type ProbeVerdict = { working: true } | { working: false; why: string };

/** Domain names of probes begin with this; the hook knows it, too. */
export const PROBE_PREFIX = 'fenceline-probe-';

/** Only the hook's own words with this very nonce show that libvirt runs it (F34). */
export function judgeProbe(nonce: string, end: ProbeEnd): ProbeVerdict {
  const { started } = end;
  const said = `${end.said} `;
  if (started)
    return { working: false, why: 'libvirt does not ask the hook: it started a probe domain' };
  // safety: F34: a refusal by somebody else, or of an older probe, shows nothing about our hook
  if (said.split(/\s+/).join(' ').includes(`Fenceline: hook 1 refuses probe ${nonce} `))
    return { working: true };
  const words = said.replaceAll(/\s+/g, ' ').trim().slice(0, 300);
  return {
    working: false,
    why: `a probe domain was refused, but not by this hook: ${words === '' ? 'no reason' : words}`,
  };
}
