import { given } from '../flags.js';
import { settingTable } from '../render/site.js';
import type { Session } from '../session.js';
import { word, type Add } from './command.js';

interface SettingFlags {
  cluster?: string;
  reason?: string;
}

const CLUSTER = ['--cluster <cluster>', 'uuid or name: what it has for itself'] as const;
const REASON = ['--reason <text>', 'for the audit'] as const;

export function addSettingCommands(add: Add): void {
  add<SettingFlags>({
    name: 'get [name]',
    summary: 'One setting, or all of them.',
    options: [CLUSTER],
    run: async (session, words, { cluster }) => {
      const name = words[0];
      const of = given({ cluster });
      const items =
        name === undefined
          ? (await session.api.listSettings(of, session.call)).items
          : [await session.api.showSetting({ name, ...of }, session.call)];
      const [only] = items;
      session.show(name === undefined ? items : only, () => settingTable(items, session.paint));
    },
  });
  add<SettingFlags>({
    name: 'set <name> <value>',
    summary: 'Change a setting; in force with its next use.',
    options: [CLUSTER, REASON],
    run: (session, words, flags) =>
      put(session, words, { ...flags, value: jsonOrText(word(words, 1)) }),
  });
  add<SettingFlags>({
    name: 'reset <name>',
    summary: "Take a change back: the file's value or the default is in force again.",
    options: [CLUSTER, REASON],
    run: (session, words, flags) => put(session, words, { ...flags, value: null }),
  });
}

async function put(
  session: Session,
  words: string[],
  { value, cluster, reason }: SettingFlags & { value: unknown },
): Promise<void> {
  const request = { name: word(words), value, ...given({ cluster, reason }) };
  const setting = await session.api.putSetting(request, session.call);
  session.show(setting, (view) => settingTable([view], session.paint));
}

/** `20`, `true`, `[1, 2]` are JSON; anything else is a text as it stands. */
function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
