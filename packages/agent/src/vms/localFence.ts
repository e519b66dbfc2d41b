import type { FenceVm, FenceVmsFromPeerRsp } from '@fenceline/protocol';

export interface LocalFenceRequest {
  vms: readonly FenceVm[];
  /** Milliseconds for everything. */
  deadlineMs: number;
  /** Milliseconds between `virsh destroy` and SIGKILL. */
  killGraceMs: number;
}

/** The fence program on this very host, without SSH: the same look, kill, verify and drain. */
export interface LocalFence {
  /**
   * Closes these runs here: barrier, kill, verify, drain (F19 to F22, F34). Settles within
   * `deadlineMs` + 2 s. Answers one verdict for each VM; `success` false if the program could not
   * do its work. Never throws.
   */
  fence(request: LocalFenceRequest): Promise<FenceVmsFromPeerRsp>;
}
