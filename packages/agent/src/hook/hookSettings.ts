/** Room for one setting in the program, its name and the end included. */
const ROOM = 512;

/**
 * The hook's program with this agent's folders in the place of its own. It gets neither environment
 * nor arguments of ours, and a file with its settings could be missing when it is needed.
 * @throws Error if the program has no such place, or a folder has no room there.
 */
export function withHookSettings(
  program: Uint8Array,
  settings: { runDir: string; stateDir: string },
): Uint8Array {
  const changed = Buffer.from(program);
  for (const [name, value] of [
    ['FENCELINE_RUN_DIR=', settings.runDir],
    ['FENCELINE_STATE_DIR=', settings.stateDir],
  ] as const) {
    const at = changed.indexOf(name);
    const text = Buffer.from(`${name}${value}`);
    if (at < 0 || changed.indexOf(name, at + 1) >= 0)
      throw new Error(`the hook's program has no one place for ${name}`);
    if (text.length >= ROOM) throw new Error(`${name} has more than ${ROOM} bytes`);
    changed.fill(0, at, at + ROOM);
    text.copy(changed, at);
  }
  return changed;
}
