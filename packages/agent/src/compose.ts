import {
  readTlsFiles,
  Releases,
  systemClock,
  systemRandom,
  type Logger,
  type TlsFiles,
} from '@fenceline/common';
import { composeAgent, type AgentPorts } from './agentCore.js';
import type { AgentConfig } from './config.js';
import { fileFenceAccess } from './fence/adapters/fileFenceAccess.js';
import { fileOrderTokens } from './fence/adapters/fileOrderTokens.js';
import { localProgram } from './fence/adapters/localProgram.js';
import { ssh2Dialer } from './fence/adapters/ssh2Dialer.js';
import { systemSigns } from './fence/adapters/systemSigns.js';
import { linuxHost } from './host/adapters/linuxHost.js';
import { startAgentServer } from './http/adapters/agentServer.js';
import { virshLibvirt } from './libvirt/adapters/virsh.js';
import { virshEvents } from './libvirt/adapters/virshEvents.js';
import { httpsEcho } from './probe/adapters/httpsEcho.js';
import { fileHostState } from './vms/adapters/fileHostState.js';
import { prepareHostState } from './vms/adapters/prepareHostState.js';
import { procProcesses } from './vms/adapters/procProcesses.js';

/** A running agent. */
export interface RunningAgent {
  readonly port: number;
  readonly agentInstance: string;
  /** Releases everything in reverse; VMs live on. */
  stop(): Promise<void>;
}

/**
 * Builds the agent top-down: TLS identity, directories, ports, core, network.
 * @throws Error that says what is wrong and what to do.
 */
export async function startAgent(config: AgentConfig, log: Logger): Promise<RunningAgent> {
  const releases = new Releases(log);
  try {
    const tls = readTlsFiles(config.tls);
    await prepareHostState({ runDir: config.runDir, stateDir: config.stateDir });
    const core = composeAgent(await realPorts(config, { log, tls }));
    releases.add('core', () => core.stop());
    await core.start();
    const { listen, port } = config.agent;
    const { dispatcher, agentInstance } = core;
    const server = await startAgentServer({ listen, port, tls, dispatcher, log });
    releases.add('network', () => server.stop());
    log.info('agent started', { port: server.port, agentInstance });
    return { port: server.port, agentInstance, stop: () => releases.run() };
  } catch (error) {
    await releases.run();
    throw error;
  }
}

/** The adapters of a real host. */
async function realPorts(
  config: AgentConfig,
  { log, tls }: { log: Logger; tls: TlsFiles },
): Promise<AgentPorts> {
  const { runDir, stateDir, host, libvirt } = config;
  const { uri, virsh, timeoutMs } = libvirt;
  const clock = systemClock;
  const program = { stateDir, runDir, libvirtUri: uri };
  const fenceAccess = fileFenceAccess({
    ...program,
    authorizedKeysFile: host.authorizedKeys,
  });
  // Both at once, so that a first start shows what is wrong with the state directory.
  await fenceAccess.privateKey();
  log.info('fence program installed', { ...(await fenceAccess.installProgram()) });
  return {
    clock,
    random: systemRandom,
    log,
    libvirt: virshLibvirt({ uri, virsh, timeoutMs, runDir }),
    libvirtEvents: virshEvents({ uri, virsh }),
    processes: procProcesses(),
    state: fileHostState({ runDir, stateDir }),
    host: linuxHost(host),
    fenceAccess,
    orderTokens: fileOrderTokens(runDir),
    dialer: ssh2Dialer({ clock, privateKey: () => fenceAccess.privateKey() }),
    fenceProgram: localProgram({ clock, ...program }),
    echo: httpsEcho(tls),
    signs: systemSigns(clock),
  };
}
