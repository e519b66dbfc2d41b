/** What libvirt did with a probe domain. */
export interface ProbeEnd {
  /** It was created, so no hook refused it; it is gone again. */
  started: boolean;
  /** What libvirt said. */
  said: string;
}

/** The hook's own file on this host. @throws Error that names the file and says what is wrong. */
export interface HookFile {
  /** Makes it what this agent carries, executable; says whether it had to be changed. */
  install(): Promise<boolean>;
}

/** The list of protected VMs, on disk and for the hook. */
export interface ProtectedLists {
  /** Writes it to disk, synced. One after the other: a late one never undoes a newer one. */
  keep(list: string): Promise<void>;
  /** The list that is kept on disk; undefined: the server has never sent one. */
  kept(): Promise<string | undefined>;
  /** Gives the hook this list, unless it has it: whoever reads sees the old one or the new. */
  offer(list: string): Promise<void>;
}

/** libvirt's daemon, as far as its hooks go. */
export interface HookCaller {
  /**
   * Asks libvirt to create a domain of that name without disks, paused, that ends with the asker.
   * Settles within a limit of its own. @throws Error if libvirt could not be asked.
   */
  probe(name: string): Promise<ProbeEnd>;
  /** Tells it to look for hooks again; its VMs and starts go on. False: no daemon was found. */
  hangUp(): Promise<boolean>;
}

/** Everything around the libvirt hook of this host. */
export interface HookWorld {
  file: HookFile;
  lists: ProtectedLists;
  caller: HookCaller;
  /** Between two probes, milliseconds. */
  probeEveryMs: number;
}
