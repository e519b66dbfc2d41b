import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Authority, HostHandle, NodeHandle } from '@fenceline/lab';
import type { TlsFilePaths } from '../helper/jobs.js';

const TLS = '/etc/fenceline/tls';

/** The server's identity on the management node. */
export async function putServerFiles(
  node: NodeHandle,
  authority: Authority,
): Promise<TlsFilePaths> {
  const bearer = { role: 'server', name: node.name, addresses: [node.address] } as const;
  return putIdentity(node, await authority.issue(bearer));
}

/** Identity and configuration of a host's agent. */
export async function putAgentFiles(host: HostHandle, authority: Authority): Promise<void> {
  const bearer = { role: 'sibling', name: host.name, addresses: [host.address] } as const;
  const tls = putIdentity(host, await authority.issue(bearer));
  const config = {
    agent: { listen: [host.address] },
    tls,
    host: { addresses: [host.address] },
  };
  put(host, '/etc/fenceline/agent.yaml', JSON.stringify(config));
}

function putIdentity(
  node: NodeHandle,
  identity: { ca: string; cert: string; key: string },
): TlsFilePaths {
  const files = { ca: `${TLS}/ca.pem`, cert: `${TLS}/node.pem`, key: `${TLS}/node.key` };
  put(node, files.ca, identity.ca);
  put(node, files.cert, identity.cert);
  put(node, files.key, identity.key);
  return files;
}

function put(node: NodeHandle, inside: string, text: string): void {
  const file = node.pathOf(inside);
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o755 });
  writeFileSync(file, text, { mode: 0o600 });
}
