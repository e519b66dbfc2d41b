import { DomainError, type ErrorCode, type EventView } from '@fenceline/protocol';
import { afterEach, describe, expect, test } from '@jest/globals';
import { run, startFakeServer, TOKEN, type Machine } from './harness.js';
import { AT, but, host, status, story, task, taskUuid, vm, vmDetail } from './views.js';

type Server = Awaited<ReturnType<typeof startFakeServer>>;
let server: Server | undefined;

async function serve(...given: Parameters<typeof startFakeServer>): Promise<Machine> {
  server = await startFakeServer(...given);
  return { url: server.url };
}

afterEach(async () => {
  await server?.stop();
  server = undefined;
});

test('status for people and as JSON', async () => {
  const machine = await serve({ status: async () => status });
  const people = await run(['status'], machine);
  expect(people).toMatchObject({ code: 0, err: [] });
  expect(people.out).toContain('  critical  h2 is suspect: silent for 5 s');
  const json = await run(['status', '--json'], machine);
  expect(JSON.parse(json.out.join('\n'))).toEqual(status);
});

test('--json works before and behind the command', async () => {
  const machine = await serve({ showHost: async () => host });
  const before = await run(['--json', 'host', 'show', 'h1'], machine);
  expect(before.out).toEqual((await run(['host', 'show', 'h1', '--json'], machine)).out);
  expect(JSON.parse(before.out.join('\n'))).toEqual(host);
});

describe('exit codes', () => {
  test.each<[ErrorCode, number, string]>([
    ['NOT_FOUND', 1, 'failed'],
    ['CONFLICT', 1, 'failed'],
    ['INTERNAL', 1, 'failed'],
    ['STORE_FAILED', 1, 'failed'],
    ['BAD_INPUT', 2, 'wrong usage'],
    ['REFUSED', 3, 'refused by a safety rule'],
    ['STALE_EPOCH', 3, 'refused by a safety rule'],
    ['HOST_UNREACHABLE', 4, 'not reachable'],
    ['STOPPING', 4, 'not reachable'],
    ['FORBIDDEN', 5, 'not allowed'],
    ['TOO_MANY_REQUESTS', 5, 'not allowed'],
  ])('%s ends with %i: %s', async (errorCode, exitCode) => {
    const machine = await serve({
      startVm: async () => {
        throw new DomainError(errorCode, 'web1 may still run on h2');
      },
    });
    const ended = await run(['vm', 'start', 'web1'], machine);
    expect(ended).toEqual({
      code: exitCode,
      out: [],
      err: [expect.stringContaining('web1 may still run on h2')],
    });
    const json = await run(['vm', 'start', 'web1', '--json'], machine);
    expect(JSON.parse(json.err.join('\n'))).toEqual({
      error: { code: errorCode, message: expect.stringContaining('h2'), exitCode },
    });
  });

  test('no server: 4, with what to check', async () => {
    const { url } = await serve({});
    await server?.stop();
    const ended = await run(['status'], { url });
    expect(ended).toEqual({
      code: 4,
      out: [],
      err: [expect.stringContaining('is fenceline-server running there?')],
    });
  });

  test('a server of another CA: 4, it is not believed', async () => {
    const { makeTestCa } = await import('@fenceline/common/testing');
    const machine = await serve({ status: async () => status });
    const ended = await run(['status'], { ...machine, files: { '/ca.pem': makeTestCa().ca } });
    expect([ended.code, ended.err[0]]).toEqual([4, expect.stringContaining("can't be trusted")]);
  });

  test('a wrong token: 5', async () => {
    const machine = await serve({ status: async () => status });
    const ended = await run(['status'], { ...machine, environment: { FENCELINE_TOKEN: 'x' } });
    expect([ended.code, ended.err[0]]).toEqual([5, expect.stringContaining('FENCELINE_TOKEN')]);
  });

  test.each([
    [['vm', 'stat'], "unknown command 'stat'"],
    [['host', 'show'], 'missing required argument'],
    [['status', 'now'], 'too many arguments'],
    [['vm', 'protect', 'web1'], '--level'],
    [['vm', 'protect', 'web1', '--level', 'always'], 'none, on-host-failure, never-stop'],
    [['vm', 'import', 'web1'], '--host is missing'],
    [['vm', 'ha-start', 'web1'], '--reason is missing'],
    [['task', 'abandon', taskUuid], '--reason is missing'],
    [['host', 'add', '192.0.2.1', '--ssh-port', 'ssh'], 'no whole number'],
    [['host', 'add', '192.0.2.1', '--power-parameter', 'ip=1'], '--power-agent is missing'],
    [['host', 'add', '192.0.2.1', '--power-agent', 'x', '--power-parameters', '/no'], "can't read"],
    [['host', 'confirm-dead', 'h1'], 'nobody can be asked'],
    [['events', '--task', '7'], 'is no uuid'],
    [['events', '--follow', '--vm', 'web1'], "can't be limited by --vm"],
  ])('%j: 2', async (argv, text) => {
    const ended = await run(argv, { url: 'https://127.0.0.1:1' });
    expect([ended.code, ended.err.join('\n')]).toEqual([2, expect.stringContaining(text)]);
    expect(ended.err.join('\n')).not.toMatch(/\n\s+at /);
  });

  test('help and version: 0', async () => {
    const help = await run(['--help'], { url: '' });
    expect(help.code).toBe(0);
    expect(help.out.join('\n')).toContain('3 refused by a safety rule');
    expect(await run(['--version'], { url: '' })).toMatchObject({ code: 0 });
  });
});

describe('configuration', () => {
  const file = '/home/otto/.config/fenceline/cli.yaml';

  test('a file is enough; the environment wins over it', async () => {
    const { url } = await serve({ status: async () => status });
    const none = { FENCELINE_URL: '', FENCELINE_CA: '', FENCELINE_TOKEN: '' };
    const yaml = `url: ${url}/\nca: ~/ca.pem\ntoken: ${TOKEN}\n`;
    const { ca } = await import('./harness.js');
    const files = { [file]: yaml, '/home/otto/ca.pem': ca.ca };
    expect(await run(['status'], { url, environment: none, files })).toMatchObject({ code: 0 });
    const other = { ...none, FENCELINE_TOKEN: 'wrong' };
    expect(await run(['status'], { url, environment: other, files })).toMatchObject({ code: 5 });
  });

  test.each([
    [{ FENCELINE_TOKEN: '' }, {}, 'no access token'],
    [{ FENCELINE_URL: 'http://server' }, {}, 'url'],
    [{ FENCELINE_CA: '/none.pem' }, {}, "can't read the server's CA /none.pem (ENOENT)"],
    [{}, { [file]: 'tokn: x' }, 'tokn: unknown setting'],
    [{}, { [file]: 'a: [' }, 'not valid YAML'],
  ])('%j %j: 2, with what to do', async (environment, files, text) => {
    const ended = await run(['status'], { url: 'https://127.0.0.1:1', environment, files });
    expect([ended.code, ended.err.join('\n')]).toEqual([2, expect.stringContaining(text)]);
  });
});

describe('long work', () => {
  test('vm start --wait tells each change until it is seen running', async () => {
    const states = ['Stopped', 'Starting', 'Running'] as const;
    let looks = 0;
    const machine = await serve({
      startVm: async () => ({ vmUuid: vm.uuid, taskUuid: null }),
      showVm: async () => {
        const state = states[Math.min(looks, 2)] ?? 'Running';
        looks += 1;
        return but(vmDetail, { state });
      },
    });
    const ended = await run(['vm', 'start', 'web1', '--wait'], machine);
    expect(ended.code).toBe(0);
    expect(ended.err.map((line) => line.replace(/^.*\d s {2}/, ''))).toEqual([
      'web1 is Stopped on h1',
      'web1 is Starting on h1',
      expect.stringMatching(/done after/),
    ]);
  });

  test('ha-start --wait ends with 3 when the task is refused, with its reason', async () => {
    const machine = await serve({
      haStartVm: async () => ({ vmUuid: vm.uuid, taskUuid }),
      showTask: async () => but(story, { state: 'refused', endedAt: AT }),
    });
    const ended = await run(['vm', 'ha-start', 'web1', '--reason', 'r', '--wait'], machine);
    expect([ended.code, ended.err.at(-1)]).toEqual([
      3,
      expect.stringContaining('refused: no proof that the run on h2 is over'),
    ]);
  });

  test('host add --wait ends with 4 when the host can not be connected', async () => {
    const machine = await serve({
      addHost: async () => but(host, { status: 'Connecting' }),
      showHost: async () => but(host, { status: 'Disconnected', connectFailure: 'agent refused' }),
    });
    const ended = await run(['host', 'add', '192.0.2.11', '--wait'], machine);
    expect([ended.code, ended.err.at(-1)]).toEqual([4, expect.stringContaining('agent refused')]);
  });

  test.each([
    [null, 0, 'done after'],
    ['another host key', 4, 'another host key'],
  ])(
    'reconnect --wait waits for its end, not for Connected: %j',
    async (connectFailure, code, text) => {
      let looks = 0;
      const machine = await serve({
        reconnectHost: async () => host,
        // Connected, as it was before: once when it is asked for, twice while it waits.
        showHost: async () =>
          (looks += 1) <= 3 ? host : but(host, { reconnectsEnded: 1, connectFailure }),
      });
      const ended = await run(['host', 'reconnect', 'h1', '--wait'], machine);
      expect([ended.code, looks]).toEqual([code, 4]);
      expect(ended.err.at(-1)).toContain(text);
    },
  );
});

test('host add sends what was typed; parameters come from a file', async () => {
  const asked: object[] = [];
  const machine = await serve({
    addHost: async (request) => {
      asked.push(request);
      return host;
    },
  });
  const files = { '/run/bmc': 'password=hunter2\n' };
  const argv = ['host', 'add', '192.0.2.11', '192.0.2.12', '--name', 'h1', '--power-agent'];
  const more = [
    'fence_ipmilan',
    '--power-parameters',
    '/run/bmc',
    '--power-parameter',
    'lanplus=1',
  ];
  expect(await run([...argv, ...more], { ...machine, files })).toMatchObject({ code: 0 });
  expect(asked).toEqual([
    {
      name: 'h1',
      addresses: ['192.0.2.11', '192.0.2.12'],
      agentPort: 7070,
      sshPort: 22,
      sshUsername: 'root',
      powerDevice: {
        agent: 'fence_ipmilan',
        parameters: { password: 'hunter2', lanplus: '1' },
      },
    },
  ]);
});

test('F30: set-login reads secrets from files, and shows none of them', async () => {
  const asked: object[] = [];
  const machine = await serve({
    setHostLogin: async (request) => {
      asked.push(request);
      return Object.assign({}, host, { login: request.kind });
    },
  });
  const secret = '-----BEGIN OPENSSH PRIVATE KEY-----\nKEY\n-----END OPENSSH PRIVATE KEY-----\n';
  const files = { '/run/pw': 'hunter2 \nmore\n', '/run/key': secret, '/run/phrase': 'p\n' };
  const run1 = (...flags: string[]) =>
    run(['host', 'set-login', 'h1', ...flags], { ...machine, files });
  const shown = await run1('--password-file', '/run/pw');
  expect(shown.code).toBe(0);
  expect(JSON.stringify(shown)).not.toContain('hunter2');
  await run1('--key-file', '/run/key', '--passphrase-file', '/run/phrase');
  expect(asked).toEqual([
    { host: 'h1', kind: 'password', secret: 'hunter2 ' },
    { host: 'h1', kind: 'privateKey', secret, passphrase: 'p' },
  ]);
  for (const [flags, said] of [
    [[], 'one of --password-file and --key-file is needed'],
    [['--password-file', '/run/pw', '--key-file', '/run/key'], 'not both'],
    [['--password-file', '/run/pw', '--passphrase-file', '/run/phrase'], 'goes with --key-file'],
    [['--password-file', '/no'], "can't read /no"],
    [['--key-file', '/run/phrase'], '--key-file: /run/phrase holds no private key'],
  ] as const) {
    const ended = await run1(...flags);
    expect([ended.code, ended.err.join('\n')]).toEqual([2, expect.stringContaining(said)]);
  }
  expect(asked).toHaveLength(2);
});

test('F29: rotate-key says which siblings let the old key in', async () => {
  const view = { hostUuid: host.uuid, fencePublicKey: 'ssh-ed25519 AAAA', untold: ['h3'] };
  const machine = await serve({ rotateHostKey: async () => view });
  const ended = await run(['host', 'rotate-key', 'h1', '--force'], machine);
  expect(ended).toMatchObject({ code: 0 });
  expect(JSON.stringify(ended)).toContain('h3 lets the old one in');
});

test('confirm-dead of a host without open runs confirms nothing, and says so', async () => {
  const nothing = async () => ({ hostUuid: host.uuid, vmUuids: [], expiresAt: AT });
  const machine = await serve({ confirmHostDead: nothing });
  const flags = ['--typed-name', 'h1', '--reason', 'it is off'];
  const ended = await run(['host', 'confirm-dead', 'h1', ...flags], machine);
  expect(ended.out).toEqual(['no run of a VM is open on h1: there was nothing to confirm']);
});

test('confirm-dead asks for name and reason', async () => {
  const asked: object[] = [];
  const machine = await serve({
    showHost: async () => host,
    confirmHostDead: async (request) => {
      asked.push(request);
      return { hostUuid: host.uuid, vmUuids: [vm.uuid], expiresAt: AT };
    },
  });
  const answers = ['h1', 'I pulled the plug'];
  const ended = await run(['host', 'confirm-dead', 'h1'], { ...machine, answers });
  expect(ended.out).toEqual(['h1 counts as dead until 2026-01-01 00:00:10 UTC, for 1 VMs']);
  expect(asked).toEqual([{ host: 'h1', typedName: 'h1', reason: 'I pulled the plug' }]);
  const wrong = await run(['host', 'confirm-dead', 'h1'], { ...machine, answers: ['h2'] });
  expect([wrong.code, asked.length]).toEqual([2, 1]);
  expect(wrong.err.join('\n')).toContain("nothing was confirmed: the host's name is h1, not h2");
});

test('power-verify tells that it switches only if there is something to switch', async () => {
  const refusal = new DomainError('REFUSED', 'h1 has no power device');
  const bare = await serve({
    showHost: async () => but(host, { powerDevice: null }),
    verifyHostPower: async () => {
      throw refusal;
    },
  });
  const ended = await run(['host', 'power-verify', 'h1'], bare);
  expect(ended.err.join('\n')).toContain('h1 has no power device');
  expect(ended.err.join('\n')).not.toContain('switching');
});

test('power-verify of a level that there is not switches nothing, and does not say so', async () => {
  const refusal = new DomainError('NOT_FOUND', 'level: h1 has no power level 7');
  const machine = await serve({
    showHost: async () => host,
    verifyHostPower: () => Promise.reject(refusal),
  });
  const ended = await run(['host', 'power-verify', 'h1', '--level', '7'], machine);
  expect(ended).toMatchObject({ code: 1, err: [expect.stringContaining('no power level 7')] });
});

describe('power-set', () => {
  const files = {
    'h1.yaml': [
      'levels:',
      '  - devices: [{ agent: fence_ipmilan, parameters: { ip: 192.0.2.9, password: hunter2 } }]',
      '  - devices:',
      '      - { agent: fence_apc, parameters: { plug: "1" } }',
      '      - { agent: fence_apc, parameters: { plug: "2" } }',
    ].join('\n'),
    'bad.yaml': 'levels: [{ devices: [{ agent: fence_x, parameters: { plug: hunter2, n: 7 } }] }]',
    'unquoted.yaml':
      'levels: [{ devices: [{ agent: x, parameters: { lanplus: true, a: hunter2 } }] }]',
    'agnt.yaml':
      'levels: [{ devices: [{ agnt: hunter2, agent: x, parametrs: {}, parameters: {} }] }]',
    'beside.yaml': 'levels: [{ devices: [{ agent: x, ip: hunter2, parameters: {} }], devcies: 1 }]',
    'none.yaml': 'levels: []',
    'typo.yaml': 'level: []',
  };
  const two = [
    { level: 1, verified: true, devices: [{ agent: 'fence_ipmilan', verifiedAt: AT }] },
    {
      level: 2,
      verified: false,
      devices: [1, 2].map(() => ({ agent: 'fence_apc', verifiedAt: null })),
    },
  ];

  test('takes levels from a file, or one device from flags', async () => {
    const asked: { levels: object[] }[] = [];
    const machine = await serve({
      setHostPower: async (request) => {
        asked.push(request);
        return but(host, { powerLevels: two });
      },
    });
    const ended = await run(['host', 'power-set', 'h1', '--file', 'h1.yaml'], {
      ...machine,
      files,
    });
    expect(ended).toMatchObject({ code: 0, err: [] });
    expect(ended.out.join('\n')).toMatch(/power level 2 +fence_apc \+ fence_apc, not verified/);
    expect(asked[0]?.levels).toMatchObject([
      { devices: [{ agent: 'fence_ipmilan', parameters: { password: 'hunter2' } }] },
      { devices: [{ parameters: { plug: '1' } }, { parameters: { plug: '2' } }] },
    ]);
    const simple = ['--power-agent', 'fence_x', '--power-parameter', 'plug=h1'];
    await run(['host', 'power-set', 'h1', ...simple], machine);
    const device = { agent: 'fence_x', parameters: { plug: 'h1' } };
    expect(asked[1]?.levels).toMatchObject([{ devices: [device] }]);
    await run(['host', 'power-clear', 'h1'], machine);
    expect(asked[2]?.levels).toEqual([]);
  });

  test.each([
    [['--file', 'bad.yaml'], 'levels.0.devices.0.parameters: '],
    [['--file', 'bad.yaml'], 'n must be a text: quote its value, as in n: "1"'],
    [['--file', 'unquoted.yaml'], 'lanplus must be a text: quote its value'],
    [['--file', 'agnt.yaml'], 'levels.0.devices.0.agnt: unknown setting'],
    [['--file', 'agnt.yaml'], 'levels.0.devices.0.parametrs: unknown setting'],
    [['--file', 'beside.yaml'], 'levels.0.devices.0.ip: unknown setting'],
    [['--file', 'beside.yaml'], 'levels.0.devcies: unknown setting'],
    [['--file', 'none.yaml'], 'has no levels'],
    [['--file', 'typo.yaml'], 'level: unknown setting'],
    [['--file', 'absent.yaml'], "can't read absent.yaml"],
    [['--file', 'h1.yaml', '--power-agent', 'fence_x'], 'leave out --power-agent'],
    [[], 'which device?'],
    [['--power-parameter', 'a=hunter2'], '--power-agent is missing'],
  ])('F28: %j is wrong usage, and shows no value', async (flags, said) => {
    const machine = await serve({});
    const ended = await run(['host', 'power-set', 'h1', ...flags], { ...machine, files });
    expect(ended.code).toBe(2);
    expect(ended.err.join('\n')).toContain(said);
    expect(ended.err.join('\n')).not.toContain('hunter2');
  });
});

test('task show takes a VM for its newest task', async () => {
  const machine = await serve({
    listTasks: async ({ vm: ref }) => ({ items: ref === 'web1' ? [task] : [] }),
    showTask: async () => story,
  });
  const ended = await run(['task', 'show', 'web1'], machine);
  expect(ended.out).toContain('Ways out:');
  expect(await run(['task', 'show', 'web9'], machine)).toMatchObject({ code: 2 });
});

test('task show takes the beginning of a uuid, if only one task has it', async () => {
  const twin = but(task, { uuid: `${task.uuid.slice(0, 30)}ffffff` });
  const shown: string[] = [];
  const machine = await serve({
    listTasks: async ({ vm: ref }) => ({ items: ref === undefined ? [task, twin] : [] }),
    showTask: async ({ taskUuid }) => {
      shown.push(taskUuid);
      return story;
    },
  });
  expect(await run(['task', 'show', task.uuid.slice(0, 34)], machine)).toMatchObject({ code: 0 });
  expect(shown).toEqual([task.uuid]);
  const both = await run(['task', 'show', task.uuid.slice(0, 8)], machine);
  expect([both.code, both.err.join('\n')]).toEqual([2, expect.stringContaining('several')]);
});

test('lists are read to their end, page after page', async () => {
  const machine = await serve({
    listVms: async ({ cursor }) =>
      cursor === undefined
        ? { items: [vm], nextCursor: 'second' }
        : { items: [but(vm, { name: `web2 ${cursor}` })] },
  });
  const json = await run(['vm', 'list', '--json'], machine);
  expect(JSON.parse(json.out.join('\n')).map(({ name }: { name: string }) => name)).toEqual([
    'web1',
    'web2 second',
  ]);
});

test('events --follow writes one line per event', async () => {
  const event: EventView = {
    id: 7,
    at: AT,
    kind: 'host.suspect',
    severity: 'critical',
    hostUuid: null,
    vmUuid: null,
    taskUuid: null,
    text: 'h2 is suspect',
    facts: {},
  };
  const machine = await serve({}, [event, but(event, { id: 8, text: 'h2 is fenced' })]);
  const ended = await run(['events', '--follow'], machine);
  expect(ended).toMatchObject({ code: 0, err: [] });
  expect(ended.out.map((line) => line.replaceAll(/ +/g, ' '))).toEqual([
    '2026-01-01 00:00:10.000 host.suspect h2 is suspect',
    '2026-01-01 00:00:10.000 host.suspect h2 is fenced',
  ]);
  const json = await run(['events', '--follow', '--json'], machine);
  expect(json.out.map((line) => JSON.parse(line) as unknown)).toHaveLength(2);
});

const setting = {
  ...{ name: 'ha.x', value: 1, default: 1, unit: null, overridden: true },
  ...{ changedAt: AT, changedBy: 'otto', perCluster: true, cluster: null },
  clusterValues: [{ cluster: 'east', value: [2] }],
};

test('settings of a cluster: asked for by name, shown beside those of the site', async () => {
  const asked: unknown[] = [];
  const machine = await serve({
    listSettings: async (request) => {
      asked.push(request);
      return { items: [setting] };
    },
    putSetting: async (request) => {
      asked.push(request);
      return but(setting, { cluster: 'east', clusterValues: [] });
    },
  });
  const all = await run(['settings', 'get'], machine);
  expect(all.out.join('\n')).toMatch(/ha\.x +1[^]*in cluster east +\[2\]/);
  await run(['settings', 'get', '--cluster', 'east'], machine);
  const argv = ['settings', 'set', 'ha.x', '[2]', '--cluster', 'east', '--reason', 'r'];
  expect((await run(argv, machine)).out.join('\n')).toContain('ha.x (east)');
  const put = { name: 'ha.x', value: [2], cluster: 'east', reason: 'r' };
  expect(asked).toMatchObject([{}, { cluster: 'east' }, put]);
});

test.each([
  [['settings', 'set', 'ha.mode', 'disarmed'], 'disarmed'],
  [['settings', 'set', 'ha.x', '20'], 20],
  [
    ['settings', 'set', 'ha.x', '[0, 2]'],
    [0, 2],
  ],
  [['settings', 'reset', 'ha.x'], null],
])('%j sends %j', async (argv, value) => {
  const asked: unknown[] = [];
  const machine = await serve({
    putSetting: async (request) => {
      asked.push(request.value);
      return setting;
    },
  });
  expect(await run(argv, machine)).toMatchObject({ code: 0 });
  expect(asked).toEqual([value]);
});

test('F28: the token is in no output, whatever goes wrong', async () => {
  const machine = await serve({ status: async () => status });
  const broken = { '/ca.pem': 'no PEM' };
  const runs = [
    await run(['status'], machine),
    await run(['status', '--json'], machine),
    await run(['vm', 'show', 'web1'], machine),
    await run(['status'], { url: 'https://127.0.0.1:1' }),
    await run(['status'], { ...machine, files: broken }),
    await run(['status', '--wrong'], machine),
    await run(['events', '--follow'], { url: 'https://127.0.0.1:1' }),
  ];
  expect(JSON.stringify(runs)).not.toContain(TOKEN);
});
