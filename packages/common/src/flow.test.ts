import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { flow, FlowError, runFlow, type FlowObserver, type Step } from './flow.js';
import { recordingLogger } from './testing/index.js';

type Trace = string[];

interface Plan {
  runs?: 'done' | 'throws';
  undo?: 'done' | 'throws' | 'none';
  skip?: boolean;
}

function step(name: string, plan: Plan = {}): Step<Trace> {
  const base = {
    name,
    skip: () => plan.skip === true,
    run: async (trace: Trace) => {
      trace.push(`run ${name}`);
      if (plan.runs === 'throws') throw new Error(`${name} broke`);
    },
  };
  if (plan.undo === 'none') return base;
  return {
    ...base,
    rollback: async (trace: Trace) => {
      trace.push(`undo ${name}`);
      if (plan.undo === 'throws') throw new Error(`undo of ${name} broke`);
    },
  };
}

async function traceOf(steps: Step<Trace>[], observer?: FlowObserver) {
  const trace: Trace = [];
  const { log, lines } = recordingLogger();
  let error: unknown;
  try {
    await runFlow(flow('test', steps), trace, { log, observer });
  } catch (thrown) {
    error = thrown;
  }
  return { trace, error, lines };
}

describe('C3: the flow engine', () => {
  test('C3: steps run in order', async () => {
    const { trace, error } = await traceOf([step('a'), step('b'), step('c')]);
    expect(trace).toEqual(['run a', 'run b', 'run c']);
    expect(error).toBeUndefined();
  });

  test("C3: the failing step's own rollback runs first, then the earlier ones in reverse", async () => {
    const steps = [step('a'), step('b'), step('c', { runs: 'throws' }), step('d')];
    const { trace, error } = await traceOf(steps);
    expect(trace).toEqual(['run a', 'run b', 'run c', 'undo c', 'undo b', 'undo a']);
    expect(error).toBeInstanceOf(FlowError);
    expect(error).toMatchObject({ flow: 'test', step: 'c', message: 'c broke' });
  });

  test('C3: a skipped step is neither run nor rolled back', async () => {
    const steps = [step('a'), step('b', { skip: true }), step('c', { runs: 'throws' })];
    expect((await traceOf(steps)).trace).toEqual(['run a', 'run c', 'undo c', 'undo a']);
  });

  test('C3: a throw before the first await of run is a failure like any other', async () => {
    const broken: Step<Trace> = {
      name: 'sync',
      run: () => {
        throw new Error('at once');
      },
    };
    const { trace, error } = await traceOf([step('a'), broken]);
    expect(trace).toEqual(['run a', 'undo a']);
    expect(error).toMatchObject({ step: 'sync', message: 'at once' });
  });

  test('C3: a throw in rollback is logged and the rest goes on', async () => {
    const steps = [step('a'), step('b', { undo: 'throws' }), step('c', { runs: 'throws' })];
    const { trace, error, lines } = await traceOf(steps);
    expect(trace).toEqual(['run a', 'run b', 'run c', 'undo c', 'undo b', 'undo a']);
    expect(error).toMatchObject({ step: 'c', message: 'c broke' });
    expect(lines).toEqual([
      {
        level: 'error',
        sentence: 'rollback failed, the rest goes on',
        facts: { step: 'b', error: 'undo of b broke' },
      },
    ]);
  });

  test('C3: a rollback is told why', async () => {
    const seen: Error[] = [];
    const told: Step<Trace> = {
      ...step('a'),
      rollback: async (_, why) => void seen.push(why),
    };
    await traceOf([told, step('b', { runs: 'throws' })]);
    expect(seen.map(String)).toEqual(['Error: b broke']);
  });

  test('what is thrown and is no Error still names the step', async () => {
    const odd: Step<Trace> = {
      name: 'odd',
      // oxlint-disable-next-line typescript/only-throw-error, typescript/prefer-promise-reject-errors -- a library might
      run: () => Promise.reject('text'),
    };
    expect((await traceOf([odd])).error).toMatchObject({ step: 'odd', message: 'text' });
  });

  test('a throw of skip rolls back what came before', async () => {
    const broken: Step<Trace> = {
      ...step('b'),
      skip: () => {
        throw new Error('skip broke');
      },
    };
    const { trace, error } = await traceOf([step('a'), broken]);
    expect(trace).toEqual(['run a', 'undo a']);
    expect(error).toMatchObject({ step: 'b', message: 'skip broke' });
  });

  test('an empty flow is done', async () => {
    expect(await traceOf([])).toEqual({ trace: [], error: undefined, lines: [] });
  });

  test('C3: whatever fails, what ran is undone in reverse and nothing else is', async () => {
    const plans = fc.array(
      fc.record({
        runs: fc.constantFrom('done' as const, 'done' as const, 'throws' as const),
        undo: fc.constantFrom('done' as const, 'throws' as const, 'none' as const),
        skip: fc.boolean(),
      }),
      { maxLength: 8 },
    );
    await fc.assert(
      fc.asyncProperty(plans, async (drawn) => {
        const { trace, error } = await traceOf(drawn.map((plan, i) => step(String(i), plan)));
        const failing = drawn.findIndex((plan) => !plan.skip && plan.runs === 'throws');
        const ran = drawn
          .map((plan, i) => ({ plan, i }))
          .filter(({ plan, i }) => !plan.skip && (failing === -1 || i <= failing));
        const undone = failing === -1 ? [] : ran.filter(({ plan }) => plan.undo !== 'none');
        expect(trace).toEqual([
          ...ran.map(({ i }) => `run ${i}`),
          ...undone.toReversed().map(({ i }) => `undo ${i}`),
        ]);
        expect(error === undefined).toBe(failing === -1);
      }),
    );
  });
});

describe('the observer', () => {
  function watching(trace: Trace, broken: { before?: string; after?: string } = {}): FlowObserver {
    return {
      before: async (name) => {
        trace.push(`before ${name}`);
        if (broken.before === name) throw new Error('store is full');
      },
      after: async (name, result) => {
        trace.push(`after ${name} ${result}`);
        if (broken.after === `${name} ${result}`) throw new Error('store is full');
      },
    };
  }

  async function watched(steps: Step<Trace>[], broken = {}) {
    const trace: Trace = [];
    const { log, lines } = recordingLogger();
    const run = runFlow(flow('f', steps), trace, { log, observer: watching(trace, broken) });
    const error = await run.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    return { trace, error, lines };
  }

  test('is told before a step has effects, and how it ended', async () => {
    const steps = [step('a'), step('b', { skip: true }), step('c', { runs: 'throws' })];
    expect((await watched(steps)).trace).toEqual([
      'before a',
      'run a',
      'after a done',
      'after b skipped',
      'before c',
      'run c',
      'undo c',
      'undo a',
      'after c failed',
    ]);
  });

  test('durable before act: a step that could not be recorded does not run', async () => {
    const { trace, error } = await watched([step('a'), step('b')], { before: 'b' });
    expect(trace).toEqual([
      'before a',
      'run a',
      'after a done',
      'before b',
      'undo a',
      'after b failed',
    ]);
    expect(error).toMatchObject({ step: 'b', message: 'store is full' });
  });

  test('a step whose end could not be recorded has failed, and is undone', async () => {
    const { trace, error } = await watched([step('a'), step('b')], { after: 'b done' });
    expect(trace.slice(-3)).toEqual(['undo b', 'undo a', 'after b failed']);
    expect(error).toMatchObject({ step: 'b' });
  });

  test('a skip that could not be recorded undoes what came before', async () => {
    const steps = [step('a'), step('b', { skip: true })];
    const { trace, error } = await watched(steps, { after: 'b skipped' });
    expect(trace).toContain('undo a');
    expect(error).toMatchObject({ step: 'b' });
  });

  test('a failure that could not be recorded does not hide the failure', async () => {
    const { error, lines } = await watched([step('a', { runs: 'throws' })], { after: 'a failed' });
    expect(error).toMatchObject({ step: 'a', message: 'a broke' });
    expect(lines.map(({ sentence }) => sentence)).toEqual(['a failed step could not be recorded']);
  });
});

test('a flow can not be changed after it was stated', () => {
  const steps = [step('a')];
  const stated = flow('f', steps);
  steps.push(step('b'));
  expect(stated.steps).toHaveLength(1);
  expect(Object.isFrozen(stated) && Object.isFrozen(stated.steps)).toBe(true);
});
