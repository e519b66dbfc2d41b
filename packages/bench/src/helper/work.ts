import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { connect } from 'node:net';
import { axiosTransport, readTlsFiles, unreachable } from '@fenceline/common';
import type { TransportRequest } from '@fenceline/protocol';
import ssh2 from 'ssh2';
import type { Done, Job } from './jobs.js';

/** No measurement takes longer; what does is broken. */
const LIMIT_MS = 120_000;

export function work(job: Job): Promise<Done> {
  switch (job.do) {
    case 'call':
      return job.connection === 'standing' ? callStanding(job) : callAsGateway(job);
    case 'run':
      return run(job.command);
    case 'kill':
      return Promise.resolve(kill(job.pid));
    case 'login':
      return login(job);
    case 'memory':
      return Promise.resolve(memory(job.argument));
    default:
      return unreachable(job);
  }
}

type Call = Extract<Job, { do: 'call' }>;

const standing = new Map<string, Agent>();

function standingAgent({ baseUrl, tls }: Call): Agent {
  const known = standing.get(baseUrl);
  if (known !== undefined) return known;
  const made = new Agent({ ...readTlsFiles(tls), keepAlive: true, minVersion: 'TLSv1.3' });
  standing.set(baseUrl, made);
  return made;
}

function callStanding(call: Call): Promise<Done> {
  const agent = standingAgent(call);
  const text = JSON.stringify(call.fields);
  return new Promise((resolve, reject) => {
    const begun = performance.now();
    const headers = { 'content-type': 'application/json' };
    const options = { agent, method: call.method, headers, timeout: LIMIT_MS };
    const sent = request(`${call.baseUrl}${call.path}`, options, (answer) => {
      let body = '';
      answer.setEncoding('utf8').on('data', (part: string) => (body += part));
      answer.on('end', () => {
        const ms = performance.now() - begun;
        resolve({ ms, status: answer.statusCode ?? 0, body: JSON.parse(body) as unknown });
      });
    });
    sent.on('timeout', () => sent.destroy(new Error('no answer')));
    sent.on('error', reject);
    sent.end(text);
  });
}

const gateways = new Map<string, ReturnType<typeof axiosTransport>>();

/** The very transport of the server. */
async function callAsGateway({ baseUrl, tls, method, path, fields }: Call): Promise<Done> {
  const transport = gateways.get(baseUrl) ?? axiosTransport({ baseUrl, tls: readTlsFiles(tls) });
  gateways.set(baseUrl, transport);
  const begun = performance.now();
  const asked = { method, path, fields } as TransportRequest;
  const { status, body } = await transport.send(asked, { deadlineMs: LIMIT_MS });
  return { ms: performance.now() - begun, status, body };
}

function run([program = '', ...args]: readonly string[]): Promise<Done> {
  return new Promise((resolve, reject) => {
    const begun = performance.now();
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: LIMIT_MS });
    let [output, ended] = ['', 0];
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (part: string) => (output += part));
    child.on('error', reject);
    child.on('exit', () => (ended = performance.now()));
    child.on('close', (code) => resolve({ ms: ended - begun, code: code ?? -1, output }));
  });
}

/** Looks without a pause: this is the floor, and a nap would be a part of it. */
function kill(pid: number): Done {
  const begun = performance.now();
  process.kill(pid, 'SIGKILL');
  while (existsSync(`/proc/${pid}`))
    if (performance.now() - begun > LIMIT_MS) throw new Error(`process ${pid} does not end`);
  return { ms: performance.now() - begun };
}

function login(job: Extract<Job, { do: 'login' }>): Promise<Done> {
  const privateKey = readFileSync(job.keyFile);
  const pinned = Buffer.from(job.hostKey.split(' ')[1] ?? '', 'base64');
  return new Promise((resolve, reject) => {
    const begun = performance.now();
    const client = new ssh2.Client();
    client.on('error', reject);
    client.on('ready', () => {
      resolve({ ms: performance.now() - begun });
      client.end();
    });
    client.connect({
      sock: connect({ host: job.host, port: 22, noDelay: job.noDelay }),
      username: 'root',
      privateKey,
      readyTimeout: LIMIT_MS,
      hostVerifier: (shown: Buffer) => shown.equals(pinned),
    });
  });
}

function memory(argument: string): Done {
  const pid = readdirSync('/proc').find((name) => /^\d+$/.test(name) && bears(name, argument));
  if (pid === undefined) throw new Error(`no process with ${argument}`);
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]);
  const done = { ms: 0, rssKiB: field('VmRSS'), peakKiB: field('VmHWM') };
  // 5: the peak begins anew (proc_pid_clear_refs).
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
  return done;
}

function bears(pid: string, argument: string): boolean {
  if (pid === String(process.pid)) return false;
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
      .split('\0')
      .some((one) => one.endsWith(argument));
  } catch {
    return false;
  }
}
