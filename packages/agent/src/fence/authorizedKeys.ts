import { dashed, isAddress, isFenceKey, type SiblingKey } from '@fenceline/protocol';
import { forcedCommand, type ProgramSettings } from './programCommand.js';

/** Marks an entry as ours; the uuid behind it names the sibling. */
const COMMENT = 'fenceline:';
const OWN_ENTRY = new RegExp(`\\s${COMMENT}[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\\s*$`);

/**
 * The text of authorized_keys with exactly these siblings in it (F29): entries of ours that are not
 * in the list disappear, other people's lines stay as they are, in their order.
 * @throws Error for a key, address or setting that could mean more than one entry.
 */
export function renderAuthorizedKeys(
  before: string,
  siblings: readonly SiblingKey[],
  program: ProgramSettings & { orderTokens: boolean },
): string {
  const command = forcedCommand(program, program);
  const foreign = before.split('\n').filter((line) => !OWN_ENTRY.test(line));
  while (foreign.at(-1)?.trim() === '') foreign.pop();
  const own = siblings.map((sibling) => entryFor(sibling, command)).toSorted();
  const lines = [...foreign, ...own];
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

function entryFor(sibling: SiblingKey, command: string): string {
  const uuid = dashed(sibling.hostUuid);
  if (!isFenceKey(sibling.fencePublicKey))
    throw new Error(`the fence key of ${uuid} is not one ssh-ed25519 key`);
  const from = sibling.addresses;
  if (!from.every(isAddress)) throw new Error(`an address of ${uuid} is not one`);
  // safety: F29: without from= the key would work from anywhere
  if (from.length === 0) throw new Error(`no address of ${uuid} is known`);
  return `restrict,from="${from.join(',')}",command="${command}" ${sibling.fencePublicKey} ${COMMENT}${uuid}`;
}
