/** What this host is. */
export interface HostFacts {
  hostname: string;
  cpuModel: string;
  /** vmx or svm among the CPU's flags. */
  cpuVirtualization: boolean;
  /** /dev/kvm can be opened. */
  kvmDevice: boolean;
  /** Addresses at which others reach it. */
  addresses: string[];
  /** Host keys of its sshd, `type base64`. */
  sshHostKeys: string[];
}

export interface HostCapacity {
  cpus: number;
  memoryMiB: number;
  memoryAvailableMiB: number;
}

/** This boot of this machine, as this process sees it. */
export interface BootIdentity {
  bootId: string;
  /** Inode of the pid namespace: another one is another view of the processes. */
  pidNamespace: string;
}

/** The machine. @throws Error that names what can't be read. */
export interface HostView {
  boot(): Promise<BootIdentity>;
  facts(): Promise<HostFacts>;
  /** Every address of this machine, whether others can use it or not. */
  ownAddresses(): Promise<string[]>;
  capacity(): Promise<HostCapacity>;
  /** Load average over one minute. */
  load1(): Promise<number>;
}
