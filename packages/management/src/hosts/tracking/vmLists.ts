import { messageOf, sleep, type Clock, type Logger } from '@fenceline/common';
import { agentRoutes, type VmSeen, type VmSyncRsp } from '@fenceline/protocol';
import type { AgentAddress, AgentGateway } from '../agentGateway.js';
import type { Mailbox } from './mailbox.js';
import type { Presence } from './presence.js';

/** libvirt may have hundreds of domains to tell of. */
const SYNC_MS = 20_000;
/** Before a list that could not be read is asked for again. */
const RETRY_MS = 1_000;
const MAX_TRIES = 5;

export interface VmListsOptions {
  hostUuid: string;
  clock: Clock;
  log: Logger;
  gateway: AgentGateway;
  presence: Presence;
  mailbox: Mailbox;
  address: () => Promise<AgentAddress>;
}

/**
 * Full lists of one host's VMs and the events after them. Events that come while a list is being
 * read are told after it, and the list is read once more: whether it was older can't be known.
 */
export class VmLists {
  #reading: Promise<void> | undefined;
  #again = false;
  #during: { bootId: string; vm: VmSeen }[] = [];
  readonly #stopping = new AbortController();

  constructor(private readonly options: VmListsOptions) {}

  /** Reads the whole list; asked while one is being read, reads one more after it. */
  read(): void {
    if (this.#stopping.signal.aborted) return;
    if (this.#reading !== undefined) {
      this.#again = true;
      return;
    }
    this.#reading = this.#readAll().finally(() => (this.#reading = undefined));
  }

  changed(bootId: string, vm: VmSeen): void {
    if (this.#reading === undefined) this.#tell(bootId, vm);
    else this.#during.push({ bootId, vm });
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('tracking stops'));
    await this.#reading;
  }

  async #readAll(): Promise<void> {
    let tries = 0;
    do {
      this.#again = false;
      if (tries > 0) await sleep(this.options.clock, RETRY_MS, this.#stopping.signal).catch(noop);
      if (this.#stopping.signal.aborted) return;
      tries += 1;
      const rsp = await this.#ask();
      if (rsp === undefined) this.#again = true;
      else this.#take(rsp);
      const late = this.#during;
      this.#during = [];
      if (late.length > 0) this.#again = true;
      for (const { bootId, vm } of late) this.#tell(bootId, vm);
    } while (this.#again && tries < MAX_TRIES);
  }

  async #ask(): Promise<VmSyncRsp | undefined> {
    const { gateway, address, log, hostUuid } = this.options;
    const call = { command: {}, deadlineMs: SYNC_MS, signal: this.#stopping.signal };
    try {
      const rsp = await gateway.call(await address(), agentRoutes.vmSync, call);
      return rsp.success ? rsp : undefined;
    } catch (thrown) {
      log.debug('the VMs of a host could not be listed', { hostUuid, error: messageOf(thrown) });
      return undefined;
    }
  }

  #take({ vms, libvirtAnswered, bootId }: VmSyncRsp): void {
    const { presence, mailbox, hostUuid } = this.options;
    // safety: a list of another boot than the one heard last is no news of this one.
    if (presence.bootId(hostUuid) !== undefined && presence.bootId(hostUuid) !== bootId) {
      this.#again = true;
      return;
    }
    presence.setList(hostUuid, { vms, followed: presence.linkUp(hostUuid) });
    mailbox.list({ hostUuid, bootId, vms, libvirtAnswered });
  }

  #tell(bootId: string, vm: VmSeen): void {
    const { presence, mailbox, hostUuid } = this.options;
    presence.applyVm(hostUuid, vm);
    mailbox.vm({ hostUuid, bootId, vm });
  }
}

function noop(): undefined {
  return undefined;
}
