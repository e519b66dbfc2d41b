import { canonicalJson, errorCode, messageOf, verifyBundle } from '@fenceline/common';
import { EXIT, UsageError, WorkError } from '../failure.js';
import { verifiedLines } from '../render/proofs.js';
import { proofTable } from '../render/tasks.js';
import type { Session } from '../session.js';
import { word, type Add } from './command.js';

interface ProofFlags {
  out?: string;
  verify?: string | true;
  anchor?: string | undefined;
}

/** @param taskOf the task that a word means: its uuid, the beginning of it, or a VM. */
export function addProofCommand(
  add: Add,
  taskOf: (session: Session, ref: string) => Promise<string>,
): void {
  add<ProofFlags>({
    name: 'proof [task]',
    summary: 'The proofs of a task: shown, written to a file, or verified (also without a server).',
    options: [
      ['--out <file>', 'write everything that shows why the start was allowed'],
      ['--verify [file]', 'check it here: every digest, the chain, and the evidence itself'],
      ['--anchor <digest>', 'a digest of the chain, noted at another place at that start or later'],
    ],
    offline: ([task], { verify }) => task === undefined && typeof verify === 'string',
    run: async (session, words, flags) => {
      const [ref] = words;
      if (flags.anchor !== undefined && flags.verify === undefined)
        throw new UsageError('--anchor is checked by --verify, which is missing');
      const anchor = wholeDigest(flags.anchor);
      if (typeof flags.verify === 'string') return verifyFile(session, words, { ...flags, anchor });
      if (ref === undefined) throw new UsageError('which task? See: fenceline task list');
      const taskUuid = await taskOf(session, word(words));
      if (flags.out === undefined && flags.verify === undefined) {
        const { items } = await session.api.listTaskProofs({ taskUuid }, session.call);
        session.show(items, (proofs) => proofTable(proofs, session.paint));
        return;
      }
      const bundle = await session.api.exportTaskProof({ taskUuid }, session.call);
      if (flags.out !== undefined) {
        write(session, flags.out, `${canonicalJson(bundle)}\n`);
        session.progress(`written to ${flags.out}`);
      }
      if (flags.verify === true) tellVerified(session, bundle, anchor);
    },
  });
}

/** @throws UsageError: a short one, as tables show it, would call a valid bundle "not valid". */
function wholeDigest(anchor: string | undefined): string | undefined {
  if (anchor === undefined || /^[0-9a-f]{64}$/i.test(anchor)) return anchor?.toLowerCase();
  throw new UsageError(
    '--anchor must be a whole digest, 64 hex digits: tables show only its first 12; ' +
      'see the last line of --verify, or events --kind ha.start.sent with --json',
  );
}

function verifyFile(session: Session, [task]: string[], { verify, anchor, out }: ProofFlags): void {
  const file = String(verify);
  if (task !== undefined || out !== undefined)
    throw new UsageError(`--verify ${file} reads that file; leave out the task and --out`);
  let text: string;
  try {
    text = session.world.readText(file);
  } catch (error) {
    const why = errorCode(error) ?? messageOf(error);
    throw new UsageError(
      `--verify: can't read ${file} (${why}); for a task: fenceline task proof ${file} --verify`,
    );
  }
  tellVerified(session, jsonOf(text), anchor);
}

/** A damaged file is no bundle: that is what is told. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function write({ world }: Session, file: string, text: string): void {
  try {
    world.writeText(file, text);
  } catch (error) {
    throw new UsageError(`--out: can't write ${file} (${errorCode(error) ?? messageOf(error)})`);
  }
}

/** @throws WorkError with the code of a refusal if anything of it does not hold. */
function tellVerified(session: Session, json: unknown, anchor: string | undefined): void {
  const { problems, bundle } = verifyBundle(json, anchor);
  const valid = problems.length === 0;
  session.show({ valid, problems }, () =>
    valid && bundle !== undefined ? verifiedLines(bundle, anchor !== undefined, session.paint) : [],
  );
  if (!valid)
    throw new WorkError(
      ['the bundle is NOT valid:', ...problems.slice(0, MAX_TOLD)].join('\n  '),
      EXIT.refused,
    );
}

const MAX_TOLD = 50;
