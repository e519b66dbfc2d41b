import path from 'node:path';
import type { PowerDeviceConfig } from './powerDevice.js';

/** Programs of fence-agents that switch the one machine whose management has this address. */
const OWN_MACHINE = new Set(
  [
    ...['ipmilan', 'ipmilanplus', 'idrac', 'imm', 'ilo', 'ilo2', 'ilo3', 'ilo4', 'ilo5'],
    ...['ilo_ssh', 'ilo3_ssh', 'ilo4_ssh', 'ilo5_ssh', 'ilo_mp', 'alom', 'amt', 'amt_ws'],
    ...['drac', 'redfish', 'rsa', 'rsb'],
  ].map((name) => `fence_${name}`),
);
/** Names of one program. */
const IPMI = new Set(
  ['ipmilan', 'ipmilanplus', 'idrac', 'imm', 'ilo3', 'ilo4', 'ilo5'].map((name) => `fence_${name}`),
);

const SYNONYMS: ReadonlyMap<string, string> = new Map([
  ...['ipaddr', 'address', 'host', 'hostname'].map((name) => [name, 'ip'] as const),
  ...['port', 'outlet', 'uuid'].map((name) => [name, 'plug'] as const),
]);

/** How the device is reached and asked; nothing of it tells one outlet from another. */
const MANNER = [
  /^(?:login|user|pass|password|passwd|ssh|ssl|sudo|tls|snmp|proxy|debug|verbose|ribcl|api_?)/,
  /(?:_timeout|timeout|_path|_wait|_prompt|_script|_options?|_version|_retries|_secure|_file)$/,
  /^(?:secure|notls|lanplus|cipher|auth|privlvl|privilege|method|hexadecimal_kg|community)$/,
  /^(?:use_sudo|use_cookies|insecure|delay|separator|plug_separator|quiet|retry_on|retries)$/,
  /^(?:token|key|secret_key|access_key|email|cacert|inet[46]_only|redfish_uri|force|graceful)$/,
  /^(?:port_as_ip|stonith_status_sleep|disable_\w+|suppress_errors|vmware_type|cmd|exec|limit)$/,
];
/** The device's state, not a manner of asking. */
const NO_MANNER = new Set(['status_file']);
/** Doors into one device, whichever is taken; absent is one of them. */
const USUAL_PORTS = new Set(['22', '23', '80', '161', '443', '623']);

/**
 * Both switch one outlet, as far as their set-up tells: one program and one address, and nothing
 * that tells two outlets apart. An address that one gives as a name and the other as a number can't
 * be seen here; the drill names the host that goes off.
 * safety: a host whose "off" is another host's would be cut, and its VMs with it.
 */
export function isSameOutlet(one: PowerDeviceConfig, other: PowerDeviceConfig): boolean {
  if (programOf(one) !== programOf(other)) return false;
  const [a, b] = [placeOf(one), placeOf(other)];
  if (['ip', 'plug', 'ipport'].some((key) => !meet(a.get(key), b.get(key), ['']))) return false;
  const more = [...a.keys()].filter((key) => b.has(key));
  // Alike in what both say; what only one says is its default, or means nothing to the program.
  const nothingInCommon = more.length === 0 && a.size > 0 && b.size > 0;
  return !nothingInCommon && more.every((key) => meet(a.get(key), b.get(key)));
}

function meet(one?: readonly string[], other?: readonly string[], absent: string[] = []): boolean {
  const others = other ?? absent;
  return (one ?? absent).some((value) => others.includes(value));
}

function programOf({ agent }: PowerDeviceConfig): string {
  const name = path.posix.basename(agent);
  return IPMI.has(name) ? 'fence_ipmilan' : name;
}

/** What tells where its outlet is, each in one spelling. */
function placeOf(device: PowerDeviceConfig): Map<string, string[]> {
  const place = new Map<string, string[]>();
  for (const [name, text] of Object.entries(device.parameters)) {
    const spelled = name.toLowerCase().replaceAll('-', '_');
    const key = SYNONYMS.get(spelled) ?? spelled;
    if (!NO_MANNER.has(key) && MANNER.some((pattern) => pattern.test(key))) continue;
    const value = spelling(key, text);
    if (value !== '') place.set(key, [...(place.get(key) ?? []), value]);
  }
  const byPlug = Object.keys(device.parameters).some((name) => /^port[-_]as[-_]ip$/i.test(name));
  const plugs = place.get('plug');
  if (byPlug && plugs !== undefined)
    place.set(
      'ip',
      plugs.map((plug) => spelling('ip', plug)),
    );
  if (byPlug || OWN_MACHINE.has(programOf(device))) place.delete('plug');
  return place;
}

function spelling(key: string, text: string): string {
  const value = text.trim().toLowerCase();
  if (key === 'ipport') return USUAL_PORTS.has(value) ? '' : value;
  if (key === 'ip') return address(value);
  if (/^0+\d+$/.test(value)) return value.replace(/^0+(?=\d)/, '');
  return /^[0-9a-f-]{32,36}$/.test(value) ? value.replaceAll('-', '') : value;
}

/** As URLs spell it: numbers of an address in one way, and no dot at the end of a name. */
function address(value: string): string {
  const bare = value.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
  const url = `http://${bare.includes(':') ? `[${bare}]` : bare}/`;
  return URL.canParse(url) ? new URL(url).hostname : bare;
}
