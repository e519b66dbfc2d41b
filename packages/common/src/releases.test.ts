import { describe, expect, test } from '@jest/globals';
import { Releases } from './releases.js';
import { recordingLogger } from './testing/index.js';

describe('releases', () => {
  test('run in reverse, each once, whatever the others do', async () => {
    const { log, lines } = recordingLogger();
    const releases = new Releases(log);
    const trace: string[] = [];
    releases.add('store', () => void trace.push('store'));
    releases.add('loop', async () => {
      trace.push('loop');
      throw new Error('stuck');
    });
    releases.add('server', async () => void trace.push('server'));
    await Promise.all([releases.run(), releases.run()]);
    await releases.run();
    expect(trace).toEqual(['server', 'loop', 'store']);
    expect(lines).toMatchObject([
      { sentence: 'release failed', facts: { name: 'loop', error: 'stuck' } },
    ]);
  });

  test('what is added when the stop is over is released too', async () => {
    const releases = new Releases(recordingLogger().log);
    const trace: string[] = [];
    await releases.run();
    releases.add('late', () => void trace.push('late'));
    await releases.run();
    expect(trace).toEqual(['late']);
  });

  test('what is added after the stop began is released too', async () => {
    const releases = new Releases(recordingLogger().log);
    const trace: string[] = [];
    releases.add('first', async () => {
      trace.push('first');
      releases.add('during', () => void trace.push('during'));
    });
    const stopping = releases.run();
    releases.add('late', () => void trace.push('late'));
    await stopping;
    await releases.run();
    expect(trace.toSorted()).toEqual(['during', 'first', 'late']);
  });
});
