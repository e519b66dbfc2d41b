#!/usr/bin/env node
// Does a test notice when a safety line of the fence breaks? For each bug below: a copy of the
// agent with that one change, the tests that watch it, and a failure that is expected. A bug that
// no test catches, and a `safety:` line that no bug breaks, end this with 1.
//
//   scripts/node packages/agent/test/plantedBugs/fence.mjs [PART OF A NAME (then without checking
//   first that everything passes)]
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../../../..');
const FENCE = 'packages/agent/src/fence';
const PROGRAM = 'program/fenceline-fence';
const program = (name, from, to, tests) => ({
  name,
  file: PROGRAM,
  from,
  to,
  test: 'program/program.test.ts',
  tests,
});
const rule = (file, name, from, to, tests = '', test = file.replace(/\.ts$/, '.test.ts')) => ({
  name,
  file,
  from,
  to,
  test,
  tests,
});

const BUGS = [
  program(
    'clock never ends',
    'else now=$NO_TIME; fi',
    'else now=0; fi',
    'clock that can not be read',
  ),
  program(
    'helpers outlive',
    'for pid in "${!helpers[@]}"; do kill',
    'for pid in; do kill',
    'F25: the deadline holds',
  ),
  program(
    'any error is gone',
    'kill -0 "$1" 2>"$tmp/why" && return 1',
    'return 0',
    'without memory|any more is alive',
  ),
  program(
    'esrch not asked',
    `stat_of "$pid" || { esrch "$pid"; return; }`,
    'stat_of "$pid" || return 0',
    'any more is alive',
  ),
  program(
    'starttime ignored',
    '[[ $st_start == "${1#*:}" ]] || return 0',
    ':',
    'a start that is under way',
  ),
  program(
    'zombie leader is dead',
    '((${#REPLIES[@]} == 1 && st_threads <= 1))',
    ':',
    'zombie leader',
  ),
  program(
    'record of another process',
    'records[$p:$s]="$u $e"',
    '{ stat_of "$p" && s=$st_start; records[$p:$s]="$u $e"; }',
    'the record of the run',
  ),
  program(
    'newer run is closed, too',
    'if [[ $3 != none ]] && (($3 > ${epoch[$2]})); then',
    'if false; then',
    'F35:',
  ),
  program('unattributed ignored', '    unattributed=1\n', '    :\n', 'can not be attributed'),
  program(
    'empty list is a look',
    '((saw_one && saw_self)) || look_ok=0',
    ':',
    'the list of processes is empty',
  ),
  program(
    'barrier lowered',
    '((REPLY >= epoch[$u])) || REPLY=${epoch[$u]}',
    'REPLY=${epoch[$u]}',
    'F34: the barrier',
  ),
  program(
    'broken connection is an answer',
    '((broken)) || settle "$u" off',
    'settle "$u" off',
    'no such VM',
  ),
  program(
    'asked once after a cut start',
    '((off_seen[$u] > 1)); then',
    ':; then',
    'asked once more',
  ),
  program('silent libvirt counts', '((look_ok && !unborn)) || return 0', ':', 'may become one'),
  program(
    'daemon left alone',
    'for key in "${daemons[@]}"; do kill -KILL',
    'for key in; do kill -KILL',
    'nothing found counts',
  ),
  program(
    'no SIGKILL',
    `      kill -KILL "\${key%:*}" 2>/dev/null\n    fi\n  done\n}\n\n# ── drain`,
    `      :\n    fi\n  done\n}\n\n# ── drain`,
    'F22: kills',
  ),
  program(
    'real names not needed',
    '((${#real[@]} == ${#scan_items[@]} + 1)) || return 1',
    ':',
    'without real names',
  ),
  program(
    'writers taken for readers',
    '[[ -n $flags ]] && (((8#$flags & 3) == 0)) && continue',
    'continue',
    'another writer',
  ),
  program('blind scan counts', '  ((saw_witness))\n', '  :\n', 'sees nothing at all'),
  program(
    'scan errors ignored',
    "*'No such process' ]] || return 1",
    "*'No such process' ]] || :",
    'a scan for writers',
  ),
  program(
    'old flush counts',
    '[[ ${turn[${what[2]}]} == "${what[1]}" ]] || return 0',
    ':',
    'began before a death',
  ),
  program(
    'failed flush counts',
    'if ((rc == 0)); then drained[$item]=synced; else drained[$item]=no; fi',
    'drained[$item]=synced',
    'can not be flushed',
  ),
  program(
    'flushed once is enough',
    'clean[$u]=0 turn[$u]=$((${turn[$u]:-0} + 1)) scanning=${scanning// $u/}',
    'clean[$u]=${clean[$u]:-0}',
    'began before a death|after the death',
  ),
  program(
    'flush before the death',
    'if [[ -n ${busy[$u]:-} || -z',
    'if [[ -z',
    'the flush comes after',
  ),
  program(
    'no look at the end',
    'look; settled_end=1\n      continue',
    'break',
    'at the end of it all',
  ),
  program(
    'no barrier, still dead',
    '[[ $control != no-barrier ]] || verdict=not-drained',
    ':',
    'no barrier at all',
  ),
  program(
    'barrier failed unseen',
    'memory_barrier || control=no-barrier',
    'memory_barrier || :',
    'no barrier at all',
  ),
  program(
    'look before the barrier',
    'memory_barrier || control=no-barrier\n    end_grants',
    'end_grants',
    'F34: the barrier',
  ),
  program(
    'order for another host',
    `[[ -z $asked_host || $asked_host == "$host" ]] ||`,
    ': ||',
    'I3:',
  ),
  rule(
    'peerFence.ts',
    'fences itself',
    'if (dashed(targetHostUuid) === dashed(peer) || isOwnAddress(targetHostIp, ownAddresses))',
    'if (peer === targetHostIp)',
    'F18',
  ),
  rule('programAnswer.ts', 'end is not the last line', 'delete this.#answer.end;', ''),
  rule(
    'programAnswer.ts',
    'last of two verdicts wins',
    "vm.verdict === undefined && verdict !== undefined ? verdict : 'conflict'",
    'verdict',
  ),
  rule(
    'verdict.ts',
    'signal behind an answer',
    "if (end?.kind === 'signal') return 'signalled';",
    '',
  ),
  rule(
    'verdict.ts',
    'nonce not checked',
    "if (answer.end.nonce !== expected.nonce) return 'noNonce';",
    '',
  ),
  rule(
    'verdict.ts',
    'wrong host',
    "if (answer.end.host !== expected.hostUuid) return 'wrongHost';",
    '',
  ),
  rule(
    'verdict.ts',
    'failed connect is unreachable',
    "if (signs?.kind === 'unreachable') return 'unreachable';",
    "if (signs?.kind !== 'alive') return 'unreachable';",
  ),
  rule(
    'verdict.ts',
    'control not checked',
    "if (control !== 'ok' || uid !== 0) return 'controlFailed';",
    '',
  ),
  rule(
    'verdict.ts',
    'newer run ignored',
    "if (newerThan(vm, about).length > 0) return 'staleEpoch';",
    '',
  ),
  rule(
    'verdict.ts',
    'a disk that was not mentioned',
    '!refused && vm.disks.every(',
    '!refused && vm.disks.some(() => true) && [].every(',
  ),
  rule(
    'authorizedKeys.ts',
    'from anywhere',
    'if (from.length === 0) throw new Error(`no address of ${uuid} is known`);',
    '',
  ),
  rule(
    'judgeSigns.ts',
    'own route as silence',
    "if (tcp.includes('netUnreachable')) return 'no route from here';",
    '',
  ),
  rule(
    'judgeSigns.ts',
    'reject of a firewall as dead',
    "look.neighbour === 'failed' ? undefined : 'the neighbour table does not say FAILED'",
    'undefined',
  ),
  rule(
    'judgeSigns.ts',
    'a router’s word as silence',
    "tcp.includes('hostUnreachable') ? 'a router answered for it' : undefined",
    'undefined',
  ),
  rule(
    'judgeSigns.ts',
    'no control needed',
    "return reached ? undefined : 'no sibling answered over the same net';",
    'return undefined;',
  ),
  rule(
    'parseIp.ts',
    'stale entry as failed',
    "states.length > 0 && states.every((state) => FAILED.has(state)) ? 'failed' : 'unknown'",
    "'failed'",
  ),
  rule(
    'parseIp.ts',
    'remembered entry as a sign',
    "seen === 'reachable' && !probed ? 'unknown' : seen",
    'seen',
  ),
  rule(
    'askSigns.ts',
    'short look',
    'target.connectTimeoutMs > ask.leftMs',
    'false',
    'cut short by the time limit',
    'peerFence.test.ts',
  ),
  rule(
    'runOrder.ts',
    'reading stops at the end line',
    'return await withLimit(limit, () => readRest(session, reader));',
    'return undefined;',
    'takes it back',
    'adapters/ssh2Dialer.test.ts',
  ),
  rule(
    'adapters/ssh2Login.ts',
    'any host key',
    'wrongHostKey = !isPinned(shown, target.hostKeys);',
    'wrongHostKey = false;',
    'host key',
    'adapters/ssh2Dialer.test.ts',
  ),
  rule(
    'adapters/ssh2Dialer.ts',
    'no pinned key needed',
    "if (target.hostKeys.length === 0) return fail('localError');",
    '',
    'no host key is pinned',
  ),
  rule(
    'adapters/lineSession.ts',
    'endless output',
    'if (stdout.bytes + stderr.bytes <= this.#options.maxOutputBytes) return true;',
    'return true;',
    '10 MB',
    'adapters/ssh2Dialer.test.ts',
  ),
  rule(
    'adapters/fileFenceAccess.ts',
    'unreadable file is empty',
    "if (errnoOf(error) === 'ENOENT') return absent;",
    'return absent;',
  ),
];

const copy = mkdtempSync(join(tmpdir(), 'planted-bugs-'));
try {
  process.exitCode = main(process.argv[2] ?? '');
} finally {
  rmSync(copy, { recursive: true, force: true });
}

function main(part) {
  mkdirSync(join(copy, 'packages'));
  cpSync(join(ROOT, 'packages/agent/src'), join(copy, 'packages/agent/src'), { recursive: true });
  cpSync(join(ROOT, 'packages/agent/package.json'), join(copy, 'packages/agent/package.json'));
  cpSync(join(ROOT, 'jest.config.js'), join(copy, 'jest.config.js'));
  writeFileSync(join(copy, 'package.json'), '{"type":"module"}');
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  const bugs = BUGS.filter(({ name }) => name.includes(part));
  const failures = part === '' ? unwatched() : [];
  for (const test of new Set(bugs.map((bug) => bug.test)))
    if (part === '' && !passes(test, '')) failures.push(`${test} fails without any bug`);
  for (const bug of failures.length > 0 ? [] : bugs) {
    const caught = !withBug(bug, () => passes(bug.test, bug.tests));
    process.stdout.write(`${caught ? 'caught' : 'MISSED'}  ${bug.file}: ${bug.name}\n`);
    if (!caught) failures.push(bug.name);
  }
  process.stdout.write(failures.map((failure) => `problem: ${failure}\n`).join(''));
  return failures.length === 0 ? 0 : 1;
}

/** Safety lines with no bug in the lines around them. */
function unwatched() {
  const files = readdirSync(join(copy, FENCE), { recursive: true }).filter(
    (file) => file === PROGRAM || (file.endsWith('.ts') && !file.endsWith('.test.ts')),
  );
  return files.flatMap((file) => {
    const text = readFileSync(join(copy, FENCE, file), 'utf8');
    const places = BUGS.filter((bug) => bug.file === file).map((bug) => lineOf(text, bug.from));
    return text.split('\n').flatMap((line, at) => {
      const near = places.some((place) => place >= at - 12 && place <= at + 14);
      return /(?:#|\/\/) safety:/.test(line) && !near
        ? [`${file}:${at + 1} has no planted bug`]
        : [];
    });
  });
}

function lineOf(text, part) {
  const at = text.indexOf(part);
  return at < 0 ? -1 : text.slice(0, at).split('\n').length - 1;
}

function withBug({ file, from, to, name }, check) {
  const path = join(copy, FENCE, file);
  const text = readFileSync(path, 'utf8');
  if (text.split(from).length !== 2) throw new Error(`${name}: its place in ${file} is gone`);
  writeFileSync(path, text.split(from).join(to));
  try {
    return check();
  } finally {
    writeFileSync(path, text);
  }
}

function passes(test, names) {
  const args = [
    '--config',
    join(copy, 'jest.config.js'),
    '--runTestsByPath',
    join(copy, FENCE, test),
  ];
  if (names !== '') args.push('-t', names);
  const result = spawnSync(
    join(ROOT, 'node_modules/.bin/jest'),
    [...args, '--selectProjects', 'unit'],
    {
      cwd: copy,
      stdio: 'ignore',
      env: {
        ...process.env,
        PATH: `${join(ROOT, 'node_modules/.bin')}:${process.env.PATH}`,
        NODE_OPTIONS: '--experimental-vm-modules --disable-warning=ExperimentalWarning',
      },
    },
  );
  return result.status === 0;
}
