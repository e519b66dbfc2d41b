import { createHash } from 'node:crypto';
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
import { detachedPrograms } from './fence/adapters/detachedPrograms.js';
import { fileFenceAccess } from './fence/adapters/fileFenceAccess.js';
import { fileOrderTokens } from './fence/adapters/fileOrderTokens.js';
import { installDoor, type InstalledProgram } from './fence/adapters/installedProgram.js';
import { localProgram } from './fence/adapters/localProgram.js';
import { memoryCredentialKeys } from './fence/adapters/memoryCredentialKeys.js';
import { programText } from './fence/adapters/programText.js';
import { ssh2Dialer } from './fence/adapters/ssh2Dialer.js';
import { systemSigns } from './fence/adapters/systemSigns.js';
import { tlsDialer } from './fence/adapters/tlsDialer.js';
import { makeFenceDoor } from './fence/door/doorKeeper.js';
import { doorAddress } from './fence/door/doorRules.js';
import { noDoor, type FenceDoor } from './fence/door/fenceDoor.js';
import { DOOR_NAME, programFiles, type ProgramSettings } from './fence/programCommand.js';
import { fileHook } from './hook/adapters/fileHook.js';
import { fileProtectedLists } from './hook/adapters/fileProtectedLists.js';
import { virshHookCaller } from './hook/adapters/virshHookCaller.js';
import { linuxHost } from './host/adapters/linuxHost.js';
import { hostUuidOf } from './host/hostUuid.js';
import { startAgentServer } from './http/adapters/agentServer.js';
import { procDaemon } from './libvirt/adapters/procDaemon.js';
import { virshLibvirt } from './libvirt/adapters/virsh.js';
import { virshEvents } from './libvirt/adapters/virshEvents.js';
import { httpsEcho } from './probe/adapters/httpsEcho.js';
import { fileHostState } from './vms/adapters/fileHostState.js';
import { prepareHostState } from './vms/adapters/prepareHostState.js';
import { procProcesses } from './vms/adapters/procProcesses.js';
import { libvirtStatusFiles } from './wedge/adapters/libvirtStatusFiles.js';

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
  const state = fileHostState({ runDir, stateDir });
  const fenceAccess = fileFenceAccess({
    ...program,
    authorizedKeysFile: host.authorizedKeys,
  });
  // Both at once, so that a first start shows what is wrong with the state directory.
  await fenceAccess.privateKey();
  const installed = await fenceAccess.installProgram();
  log.info('fence program installed', { ...installed });
  return {
    clock,
    random: systemRandom,
    log,
    libvirt: virshLibvirt({ uri, virsh, timeoutMs, runDir }),
    libvirtEvents: virshEvents({ uri, virsh }),
    ...libvirtsOwn(config),
    processes: procProcesses(),
    state,
    host: linuxHost(host),
    fenceAccess,
    orderTokens: fileOrderTokens(runDir),
    dialer: ssh2Dialer({
      clock,
      privateKey: () => fenceAccess.privateKey(),
      program: () => programText(program),
    }),
    doorDialer: tlsDialer(clock, tls),
    door: await fenceDoor(config, { log, program, installed }),
    fenceProgram: localProgram({ clock, ...program }),
    echo: httpsEcho(tls),
    signs: systemSigns(clock),
    credentials: memoryCredentialKeys({
      clock,
      random: systemRandom,
      hostUuid: hostUuidOf(state),
    }),
  };
}

/** Its daemon, its records, and the hook that it calls. */
function libvirtsOwn({
  libvirt,
  runDir,
  stateDir,
}: AgentConfig): Pick<AgentPorts, 'libvirtDaemon' | 'statusFiles' | 'hook'> {
  const { uri, virsh, timeoutMs, pidFiles, statusDir, hookDir, hookProbeSec } = libvirt;
  const daemon = procDaemon(pidFiles);
  return {
    libvirtDaemon: daemon,
    statusFiles: libvirtStatusFiles(statusDir),
    hook: {
      file: fileHook({ dir: hookDir, runDir, stateDir }),
      lists: fileProtectedLists({ runDir, stateDir }),
      caller: virshHookCaller({ virsh, uri, runDir, timeoutMs, daemon }),
      probeEveryMs: hookProbeSec * 1_000,
    },
  };
}

/** The second way in; without what it needs it is said, and the host has none. */
async function fenceDoor(
  { fenceDoor: section, agent, tls, runDir }: AgentConfig,
  on: { log: Logger; program: ProgramSettings; installed: InstalledProgram },
): Promise<FenceDoor> {
  const { log, program, installed } = on;
  if (section.port === 0) return noDoor;
  const why = 'this host has no second way in for siblings';
  if (installed.kind !== 'native') {
    log.warn(why, { reason: 'the fence program in C does not run here' });
    return noDoor;
  }
  const door = await installDoor(programFiles(program, DOOR_NAME));
  if (door === undefined) {
    log.warn(why, { reason: `${DOOR_NAME} was not built, or does not run here` });
    return noDoor;
  }
  const [inMemory, onDisk] = programFiles(program);
  const clock = systemClock;
  return makeFenceDoor(
    {
      ...{ clock, random: systemRandom, log },
      programs: detachedPrograms(clock, runDir),
      identityMark: async () => digestOf(readTlsFiles(tls)),
    },
    {
      ...{ program, port: section.port, tls: { ca: tls.ca, cert: tls.cert, key: tls.key } },
      address: doorAddress(section.listen, agent.listen),
      files: { fence: installed.inMemory ? inMemory : onDisk, door },
    },
  );
}

function digestOf({ ca, cert, key }: TlsFiles): string {
  const hash = createHash('sha256');
  for (const pem of [ca, cert, key]) hash.update(pem).update('\0');
  return hash.digest('hex');
}
