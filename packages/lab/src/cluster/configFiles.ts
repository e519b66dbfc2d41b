import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { NodeHandle } from '../hostHandle.js';
import type { Identity } from './authority.js';

/** Everything in a node runs as root. */
const HOME = '/root';

/** Where the programs find their things inside a node. */
export const inNode = {
  tls: '/etc/fenceline/tls',
  agentConfig: '/etc/fenceline/agent.yaml',
  serverConfig: '/etc/fenceline/server.yaml',
  serverState: '/var/lib/fenceline/server',
  token: '/etc/fenceline/admin-token',
  cliConfig: `${HOME}/.config/fenceline/cli.yaml`,
} as const;

/** Settings of the server as nested fields, as in its YAML file. */
export type ServerSettings = Readonly<Record<string, unknown>>;

/**
 * What the lab sets apart from the defaults: guests are emulated, no storage heartbeat exists, so
 * a silent host without one is fenced, and a qemu that can't be ended is told, and a refused start
 * tried again, sooner than people would wait for.
 */
export const labSettings: ServerSettings = {
  ha: {
    agentDown: { withoutHeartbeat: 'fence' },
    preFence: { sshTimeoutSec: 10 },
    restart: { backoffMin: [0, 0.05, 0.05, 0.1] },
  },
  host: { allowEmulation: true, reserveMemoryMiB: 256 },
};

/** A file of a node; readable for its root alone. */
export function put(node: NodeHandle, inside: string, text: string): void {
  const file = node.pathOf(inside);
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o755 });
  writeFileSync(file, text, { mode: 0o600 });
}

export function putIdentity(node: NodeHandle, name: string, identity: Identity): void {
  put(node, `${inNode.tls}/ca.pem`, identity.ca);
  put(node, `${inNode.tls}/${name}.pem`, identity.cert);
  put(node, `${inNode.tls}/${name}.key`, identity.key);
}

/** JSON is YAML. */
export function agentYaml(address: string): string {
  return JSON.stringify({
    agent: { listen: [address] },
    host: { addresses: [address] },
    log: { level: 'debug' },
  });
}

export function serverYaml(address: string, settings: ServerSettings): string {
  return JSON.stringify({ server: { address }, log: { level: 'debug' }, ...settings });
}

/** @param token the admin token that the server wrote at its first start. */
export function cliYaml(address: string, token: string): string {
  return JSON.stringify({ url: `https://${address}:8443`, ca: `${inNode.tls}/ca.pem`, token });
}

/** Sections are merged, values replaced. */
export function mergeSettings(base: ServerSettings, extra: ServerSettings): ServerSettings {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(extra)) {
    const old = merged[key];
    merged[key] = isSection(old) && isSection(value) ? mergeSettings(old, value) : value;
  }
  return merged;
}

function isSection(value: unknown): value is ServerSettings {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
