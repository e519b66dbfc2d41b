import { silentLogger } from '@fenceline/common';
import { seededRandom, VirtualClock } from '@fenceline/common/testing';
import { dashed, DomainError, FenceVmsFromPeerRsp, type FenceVm } from '@fenceline/protocol';
import {
  emptyHostMemory,
  memoryHook,
  memoryHostState,
  memoryOrderTokens,
  noDoor,
  type AgentPorts,
  type DomainEvent,
  type HostMemory,
  type HostState,
  type Libvirt,
  type LibvirtDomain,
  type LocalFence,
  type PendingStart,
  type Processes,
  type QemuProcess,
  type StartEnd,
  type StatusFile,
} from '../src/index.js';
import { memoryCredentialKeys } from '../src/fence/adapters/memoryCredentialKeys.js';

export const HOST = '0a000000-0000-4000-8000-000000000001';
export const VM = '11111111-2222-4333-8444-555555555555';
export const domainXml = (vmUuid = VM, name = 'web1'): string =>
  `<domain type="kvm"><name>${name}</name><uuid>${vmUuid}</uuid></domain>`;

/** A host in memory: libvirt, its processes and its records, all of them breakable. */
export class FakeHost {
  readonly clock = new VirtualClock();
  readonly memory: HostMemory = emptyHostMemory();
  readonly state: HostState = memoryHostState(this.memory);
  readonly domains = new Map<string, LibvirtDomain>();
  readonly qemuList: QemuProcess[] = [];
  /** XML of every start that was let go. */
  readonly started: string[] = [];
  /** Processes other than qemus that live: pid → start time. */
  readonly helpers = new Map<number, number>();
  /** What happened, in order. */
  readonly trace: string[] = [];
  readonly hook = memoryHook();
  /** libvirt's records of running VMs, by name. */
  readonly statusFiles = new Map<string, StatusFile>();
  /** Signals that libvirt's daemon got. */
  readonly signals: string[] = [];
  libvirtAnswers = true;
  fenceKey = `ssh-ed25519 ${'A'.repeat(68)}`;
  /** Called in the moment in which a start waits for its go. */
  beforeGo: () => Promise<void> = async () => undefined;
  /** What libvirt says instead of starting. */
  startFailure: Error | undefined;
  /** Did libvirt answer that start? */
  startEnd: StartEnd = 'resolved';
  guestObeys = true;
  #nextPid = 100;

  readonly processes: Processes = {
    qemus: async () => [...this.qemuList],
    startTimeOf: async (pid) =>
      this.helpers.get(pid) ?? this.qemuList.find((qemu) => qemu.pid === pid)?.startTime,
  };

  readonly libvirt: Libvirt = {
    domains: async () => {
      this.#answer();
      return [...this.domains.values()];
    },
    domain: async (vmUuid) => {
      this.#answer();
      return this.domains.get(vmUuid);
    },
    definition: async (vmUuid) => domainXml(vmUuid),
    prepareStart: async (start) => this.#prepare(start),
    shutdown: async (vmUuid) => {
      this.#answer();
      this.trace.push('shutdown');
      if (this.guestObeys) this.clock.after(1_000, () => this.killQemus(vmUuid));
    },
    versions: async () => ({ libvirt: '9.0.0', qemu: '7.2.0' }),
  };

  readonly localFence: LocalFence = {
    fence: async ({ vms }) => {
      this.trace.push('fence');
      return this.#fence(vms);
    },
  };

  /** A qemu that runs, known to libvirt. */
  run(vmUuid: string, epoch: number | null): QemuProcess {
    this.#nextPid += 1;
    const qemu: QemuProcess = {
      pid: this.#nextPid,
      startTime: this.#nextPid * 10,
      vmUuid,
      guestName: `vm-${vmUuid.slice(0, 4)}`,
      epoch,
      dying: false,
    };
    this.qemuList.push(qemu);
    this.domains.set(vmUuid, { vmUuid, name: qemu.guestName ?? '', state: 'Running' });
    return qemu;
  }

  killQemus(vmUuid: string): void {
    for (const qemu of this.qemuList.filter((one) => one.vmUuid === vmUuid))
      this.qemuList.splice(this.qemuList.indexOf(qemu), 1);
    const domain = this.domains.get(vmUuid);
    if (domain !== undefined) this.domains.set(vmUuid, { ...domain, state: 'Stopped' });
  }

  /** A whole agent's worth of ports on this host. */
  ports(events: AsyncIterable<DomainEvent | undefined>[] = []): AgentPorts {
    return {
      clock: this.clock,
      random: seededRandom(1),
      log: silentLogger,
      libvirt: this.libvirt,
      libvirtEvents: { open: (signal) => events.shift() ?? untilAborted(signal) },
      libvirtDaemon: {
        find: async () => ({ pid: 3, startTime: 30, ageMs: 10_000 }),
        lookAlikes: async () => 0,
        signal: async (_, signal) => {
          this.signals.push(signal);
          return true;
        },
      },
      statusFiles: {
        read: async (name) => this.statusFiles.get(name),
        remove: async (name) => void this.statusFiles.delete(name),
      },
      hook: this.hook,
      processes: this.processes,
      state: this.state,
      host: {
        boot: async () => ({ bootId: 'boot-1', pidNamespace: '4026531836' }),
        facts: async () => ({
          hostname: 'h1',
          cpuModel: 'model',
          cpuVirtualization: true,
          kvmDevice: true,
          addresses: ['10.77.1.11'],
          sshHostKeys: ['ssh-ed25519 AAAA'],
        }),
        ownAddresses: async () => ['10.77.1.11'],
        capacity: async () => ({ cpus: 2, memoryMiB: 1_024, memoryAvailableMiB: 512 }),
        load1: async () => 0.5,
      },
      fenceAccess: {
        publicKey: async () => this.fenceKey,
        prepareKey: async () => `ssh-ed25519 ${'B'.repeat(68)}`,
        switchKey: async (publicKey) => void (this.fenceKey = publicKey),
        install: async (siblings, { orderTokens } = { orderTokens: false }) =>
          void this.trace.push(
            `install ${siblings.map((one) => one.hostUuid).join()}${orderTokens ? ' tokens' : ''}`,
          ),
      },
      orderTokens: memoryOrderTokens(this.memory.run.orderTokens),
      dialer: { dial: async () => ({ ok: false, failure: 'connectTimeout', stages: [] }) },
      doorDialer: { dial: async () => ({ ok: false, failure: 'refused', stages: [] }) },
      door: noDoor,
      fenceProgram: { start: () => Promise.reject(new Error('no fence program here')) },
      echo: { echo: () => Promise.reject(new Error('silent')) },
      signs: { look: async () => [] },
      credentials: memoryCredentialKeys({
        clock: this.clock,
        random: seededRandom(2),
        hostUuid: async () => HOST,
      }),
    };
  }

  #answer(): void {
    if (!this.libvirtAnswers) throw new DomainError('TIMED_OUT', 'libvirt hangs');
  }

  async #prepare(start: { vmUuid: string; epoch: number; xml: string }): Promise<PendingStart> {
    this.#nextPid += 1;
    const pid = this.#nextPid;
    this.helpers.set(pid, pid * 10);
    let end: StartEnd = 'resolved';
    this.trace.push(`prepared began=${await this.state.began(start.vmUuid)}`);
    return {
      pid,
      startTime: pid * 10,
      go: async () => {
        await this.beforeGo();
        end = 'unresolved';
        if (!this.helpers.has(pid)) throw new DomainError('LIBVIRT_FAILED', 'killed');
        end = this.startEnd;
        const [grant] = await this.state.grants();
        this.trace.push(`go grant=${grant?.epoch}`);
        if (this.startFailure !== undefined) throw this.startFailure;
        this.started.push(start.xml);
        this.run(start.vmUuid, start.epoch);
      },
      abandon: async () => {
        this.helpers.delete(pid);
        return end;
      },
    };
  }

  /** What the program promises: barrier, then every start and qemu up to that epoch is ended. */
  async #fence(vms: readonly FenceVm[]): Promise<FenceVmsFromPeerRsp> {
    const verdicts: FenceVmsFromPeerRsp['verdicts'] = [];
    for (const vm of vms) {
      const vmUuid = dashed(vm.vmUuid);
      const barrier = await this.state.raiseBarrier(vmUuid, vm.fenceEpoch);
      for (const grant of await this.state.grants())
        if (grant.vmUuid === vmUuid && grant.epoch <= vm.fenceEpoch) this.helpers.delete(grant.pid);
      const found = this.qemuList.filter((qemu) => qemu.vmUuid === vmUuid);
      this.killQemus(vmUuid);
      verdicts.push({
        vmUuid,
        qemuConfirmedDead: true,
        outcome: found.length > 0 ? 'confirmedDead' : 'nothingFound',
        barrier,
        killed: [],
        disks: [],
        otherWriters: [],
      });
    }
    return Object.assign(new FenceVmsFromPeerRsp(), { success: true, verdicts });
  }
}

async function* untilAborted(signal: AbortSignal): AsyncGenerator<undefined> {
  yield undefined;
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
