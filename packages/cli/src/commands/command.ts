import type { Command } from 'commander';
import { openSession, type Session } from '../session.js';
import type { World } from '../world.js';

/** What a command does once its words and flags are read. */
export type Action<Flags> = (session: Session, words: string[], flags: Flags) => Promise<void>;

/** A command's name with its words, what it does, and its flags. */
export interface CommandSpec<Flags> {
  /** `show <host>` */
  name: string;
  summary: string;
  options?: readonly (readonly [flags: string, what: string])[];
  /** Flags that may be given several times. */
  lists?: readonly (readonly [flags: string, what: string])[];
  /** True if this use of it needs no server, and so no address and no token. */
  offline?: (words: readonly string[], flags: Flags) => boolean;
  run: Action<Flags>;
}

/** Adds commands to a noun. */
export type Add = <Flags extends object>(spec: CommandSpec<Flags>) => void;

/** How commands are added under `parent`. */
export function adder(parent: Command, world: World): Add {
  return ({ name, summary, options = [], lists = [], offline, run }) => {
    const command = parent.command(name).description(summary).allowExcessArguments(false);
    for (const [flags, what] of options) command.option(flags, what);
    for (const [flags, what] of lists)
      command.option(flags, what, (text: string, before: string[] | undefined) => [
        ...(before ?? []),
        text,
      ]);
    command.action(async () => {
      const needsServer = !(offline?.(command.args, command.opts()) ?? false);
      await run(openSession(world, command, needsServer), command.args, command.opts());
    });
  };
}

/** A word that the command's name says must be there. */
export function word(words: readonly string[], i = 0): string {
  return words[i] ?? '';
}
