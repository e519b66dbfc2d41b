/** Where the fence program and its records are on this host. */
export interface ProgramSettings {
  /** In memory; gone after a boot until the agent has started. */
  runDir: string;
  stateDir: string;
  libvirtUri: string;
}

/** What a shell and sshd take as it is, inside double quotes and outside: no blank, no glob, no quote. */
const PLAIN = /^[A-Za-z0-9_.:/+@-]+$/;
const FOLDER = /^\/[A-Za-z0-9_.:/+@-]*$/;
const NAME = 'fenceline-fence';
export const DOOR_NAME = 'fenceline-door';

/** The installed program, best place first: in memory, and on disk for the time after a boot. */
export function programFiles({ runDir, stateDir }: ProgramSettings, name = NAME): [string, string] {
  return [`${runDir}/bin/${name}`, `${stateDir}/bin/${name}`];
}

/**
 * The program's arguments. `orderTokens`: it takes an order to fence only with a token that was
 * deposited on this host before (F29a).
 * @throws Error for a setting in which a shell would read more than one word.
 */
export function programArguments(
  settings: ProgramSettings,
  { orderTokens }: { orderTokens: boolean },
): string[] {
  const { runDir, stateDir, libvirtUri } = settings;
  const folders = { runDir, stateDir };
  for (const [name, value] of Object.entries(folders))
    if (!FOLDER.test(value))
      throw new Error(`${name}: ${value} is no absolute path or has characters that a shell reads`);
  if (!PLAIN.test(libvirtUri) || libvirtUri.startsWith('-'))
    throw new Error(`libvirt.uri: ${libvirtUri} has characters that a shell reads`);
  // safety: F34: sshd passes no environment on; with other folders the barrier that a sibling's fence
  // sets would not be the one that this agent's starts look at
  const words = ['--run-dir', runDir, '--state-dir', stateDir, '--uri', libvirtUri];
  return orderTokens ? [...words, '--tokens'] : words;
}

/**
 * What sshd runs for a sibling's key, whatever the sibling asks for (F29).
 * @throws Error as above; nothing of a sibling ever becomes part of it.
 */
export function forcedCommand(settings: ProgramSettings, orders: { orderTokens: boolean }): string {
  const words = programArguments(settings, orders).join(' ');
  const [inMemory, onDisk] = programFiles(settings);
  return `if test -x ${inMemory}; then exec ${inMemory} ${words}; fi; exec ${onDisk} ${words}`;
}
