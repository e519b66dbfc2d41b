/** libvirt's daemon as a process. */
export interface DaemonProcess {
  pid: number;
  startTime: number;
  /** Since it was started, milliseconds. */
  ageMs: number;
}

/** The daemon that serves this host's VMs. @throws Error if the process table can't be read. */
export interface LibvirtDaemon {
  find(): Promise<DaemonProcess | undefined>;
  /**
   * Other processes that run the daemon's program: for some milliseconds a qemu that is being
   * started looks like that.
   */
  lookAlikes(daemon: DaemonProcess): Promise<number>;
  /** To exactly this process. False: it is gone. */
  signal(daemon: DaemonProcess, signal: 'HUP' | 'KILL'): Promise<boolean>;
}
