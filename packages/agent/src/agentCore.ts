import {
  envelopeError,
  makeDispatcher,
  sleep,
  type Clock,
  type Dispatcher,
  type Handlers,
  type Logger,
  type Random,
} from '@fenceline/common';
import {
  agentRoutes,
  agentStreams,
  CredentialKeyRsp,
  DomainError,
  ok,
  type WatchCmd,
  type WatchItem,
} from '@fenceline/protocol';
import type { CredentialKeys } from './fence/credentialKeys.js';
import { withFallback } from './fence/fallbackLogin.js';
import type { FenceDoor } from './fence/door/fenceDoor.js';
import type { DoorDialer } from './fence/doorDialer.js';
import { makeLocalFence } from './fence/localFence.js';
import { gatedDialer } from './fence/loginGate.js';
import { fenceRoutes } from './fence/fenceRoutes.js';
import { makeFenceLines, type FenceLines } from './fence/lines/fenceLines.js';
import type { OrderTokens } from './fence/orderTokens.js';
import { makePeerFence, type PeerFence } from './fence/peerFence.js';
import type { FenceProgramRunner } from './fence/programSession.js';
import type { SignsOfLife } from './fence/signsOfLife.js';
import type { SshDialer } from './fence/sshDialer.js';
import type { FenceAccess } from './host/fenceAccess.js';
import { makeHookGuard } from './hook/hookGuard.js';
import type { HookWorld } from './hook/hookPorts.js';
import { hostRoutes } from './host/hostRoutes.js';
import { hostUuidOf } from './host/hostUuid.js';
import type { HostView } from './host/hostView.js';
import { watchHost } from './host/watchStream.js';
import type { LibvirtDaemon } from './libvirt/daemon.js';
import type { Libvirt, LibvirtEvents } from './libvirt/libvirt.js';
import { scanHost } from './probe/scanHost.js';
import type { EchoCaller } from './probe/echoCaller.js';
import type { HostState } from './vms/hostState.js';
import type { Processes } from './vms/processes.js';
import { vmRoutes } from './vms/vmRoutes.js';
import { makeVmTracker } from './vms/vmTracker.js';
import { makeWedgeGuard, type StatusFiles } from './wedge/wedgeGuard.js';

/** Everything that the agent needs of the world; real adapters, or a simulated host. */
export interface AgentPorts {
  clock: Clock;
  random: Random;
  log: Logger;
  libvirt: Libvirt;
  libvirtEvents: LibvirtEvents;
  libvirtDaemon: LibvirtDaemon;
  statusFiles: StatusFiles;
  hook: HookWorld;
  processes: Processes;
  state: HostState;
  host: HostView;
  fenceAccess: FenceAccess;
  /** Order tokens that let siblings' orders through on this host. */
  orderTokens: OrderTokens;
  /** Logins to a suspect, and to neighbours. */
  dialer: SshDialer;
  /** Through the doors of neighbours. */
  doorDialer: DoorDialer;
  /** This host's own one. */
  door: FenceDoor;
  /** The fence program on this very host. */
  fenceProgram: FenceProgramRunner;
  echo: EchoCaller;
  signs: SignsOfLife;
  /** Keys that fallback credentials are sealed for. */
  credentials: CredentialKeys;
}

/** A whole agent without its network: the seam at the typed route. */
export interface AgentCore {
  /** New with each start of the program. */
  readonly agentInstance: string;
  /** Takes calls from `start` until `stop`; before and after it answers STOPPING. */
  readonly dispatcher: Dispatcher;
  /** The watch stream without the dispatcher, for callers in the same process. */
  watch(command: WatchCmd, signal: AbortSignal): AsyncIterable<WatchItem>;
  start(): Promise<void>;
  /** Refuses new calls, ends streams, waits a moment for work in hand. VMs live on. */
  stop(): Promise<void>;
}

/** Longest wait for work in hand when stopping; a start goes on in its own process anyway. */
const STOP_WAIT_MS = 5_000;

export function composeAgent(ports: AgentPorts): AgentCore {
  const agentInstance = ports.random.uuid();
  const stopping = new AbortController();
  const hook = makeHookGuard(ports);
  // Another daemon of libvirt may not know of the hook.
  const connected = (): void => hook.check();
  const tracker = makeVmTracker({ ...ports, events: ports.libvirtEvents, connected });
  const wedges = makeWedgeGuard({ ...ports, tracker });
  const hostUuid = hostUuidOf(ports.state);
  const localFence = makeLocalFence({ ...ports, runner: ports.fenceProgram, hostUuid });
  const vms = vmRoutes({ ...ports, tracker, localFence });
  const lines = fenceLines(ports);
  const tokens = ports.orderTokens;
  const peer = peerFence({ ...ports, lines }, hostUuid);
  const watch = (command: WatchCmd, signal: AbortSignal): AsyncIterable<WatchItem> =>
    watchHost(
      { ...ports, tracker, agentInstance, hostUuid, lines, tokens, hook: () => hook.known() },
      command,
      AbortSignal.any([signal, stopping.signal]),
    );
  const handlers: Handlers<typeof agentRoutes & typeof agentStreams> = {
    ...hostRoutes({ ...ports, agentInstance, hostUuid }),
    ...vms.handlers,
    ...fenceRoutes({ peer, lines, tokens }),
    credentialKey: async ({ targetHostUuid }) =>
      ok(CredentialKeyRsp, await ports.credentials.newKey(targetHostUuid)),
    protect: (command) => hook.protect(command),
    scanHost: (command, { signal }) => scanHost(ports, command, signal),
    watch: (command, { signal }) => watch(command, signal),
  };
  const inner = makeDispatcher({ ...agentRoutes, ...agentStreams }, handlers, {
    log: ports.log,
    errorBody: envelopeError,
  });
  let open = false;
  return {
    agentInstance,
    watch,
    dispatcher: {
      handle: async (call) => (open ? inner.handle(call) : notOpen()),
    },
    start: async () => {
      // Before anything else may ask libvirt for a start.
      await hook.start();
      tracker.start();
      wedges.start();
      ports.door.start();
      open = true;
    },
    stop: async () => {
      open = false;
      stopping.abort(new DomainError('STOPPING', 'the agent stops'));
      await Promise.all([hook.stop(), wedges.stop(), tracker.stop()]);
      const waited = new AbortController();
      const limit = sleep(ports.clock, STOP_WAIT_MS, waited.signal).catch(() => undefined);
      await Promise.race([Promise.all([vms.idle(), lines.stop(), ports.door.stop()]), limit]);
      waited.abort(new Error('stopped'));
    },
  };
}

/** sshd drops logins above MaxStartups (10 by default), so few at once and that class again. */
const LOGINS = { maxParallel: 8, maxAttempts: 4 } as const;

/** Of their own, so that lines that are laid again never make a fence wait. */
const LINE_LOGINS = { maxParallel: 2, maxAttempts: 1 } as const;

function fenceLines(ports: AgentPorts): FenceLines {
  return makeFenceLines({
    ...ports,
    dialer: gatedDialer(ports.dialer, { ...ports, ...LINE_LOGINS }),
    ownAddresses: () => ports.host.ownAddresses(),
  });
}

function peerFence(
  ports: AgentPorts & { lines: FenceLines },
  hostUuid: () => Promise<string | undefined>,
): PeerFence {
  return makePeerFence({
    ...ports,
    dialer: withFallback(gatedDialer(ports.dialer, { ...ports, ...LOGINS }), ports),
    own: { hostUuid, addresses: () => ports.host.ownAddresses() },
  });
}

function notOpen(): Awaited<ReturnType<Dispatcher['handle']>> {
  const error = new DomainError('STOPPING', 'the agent is starting or stopping');
  return { kind: 'answer', answer: { status: error.status, body: envelopeError(error) } };
}
