import { describe, expect, test } from '@jest/globals';
import { labels, ratiosOf } from './fence/labels.js';
import { addStages } from './fence/stages.js';
import { isMet, Measured, renderTable, type BenchResult } from './result.js';

const machine: BenchResult['machine'] = {
  cpus: 2,
  cpuModel: 'a CPU',
  memoryMiB: 1_024,
  kernel: '6.1',
  versions: { node: '24.0.0', libvirt: '9.0.0' },
  load1: [0.1, 0.2],
};

describe('the table', () => {
  const measured = new Measured();
  for (const ms of [10, 20, 30]) measured.add('ours', ms);
  measured.add('theirs', 100);
  const series = measured.series();
  const ratios = { 'ours / theirs': 0.2, 'theirs / ours': 5, 'by the way': 1 };
  const result: BenchResult = { name: 'x', runs: 3, series, ratios, machine };

  test('has a line per series and per ratio, and says which promises are kept', () => {
    const goals = [
      { ratio: 'ours / theirs', atMost: 0.35 },
      { ratio: 'theirs / ours', atLeast: 6 },
    ];
    expect(renderTable(result, goals).split('\n')).toEqual([
      '        median ms  p95 ms  n',
      'ours         20.0    30.0  3',
      'theirs      100.0   100.0  1',
      '',
      'ours / theirs  0.2x  goal at most 0.35x: met',
      'theirs / ours    5x  goal at least 6x: MISSED',
      'by the way       1x',
      '',
      '2 CPUs (a CPU), 1024 MiB, Linux 6.1, load 0.1 to 0.2',
      'node 24.0.0, libvirt 9.0.0',
    ]);
  });

  test.each([
    [0.35, { atMost: 0.35 }, true],
    [0.351, { atMost: 0.35 }, false],
    [6, { atLeast: 6 }, true],
    [5.99, { atLeast: 6 }, false],
  ])('%d of %j: %s', (value, limits, expected) => {
    expect(isMet(value, { ratio: 'x', ...limits })).toBe(expected);
  });
});

test('only ratios whose both sides were measured are told', () => {
  const measured = new Measured();
  measured.add(labels.cold, 100);
  measured.add(labels.openSsh, 400);
  expect(ratiosOf(measured)).toEqual({ [`${labels.cold} / ${labels.openSsh}`]: 0.25 });
});

test('stages add up to the call, and each term is taken away by itself', () => {
  const measured = new Measured();
  const stages = [
    { name: 'kex', ms: 10 },
    { name: 'barrier', ms: 5 },
    { name: 'drain', ms: 20 },
  ];
  const rsp = { stages } as Parameters<typeof addStages>[2]['rsp'];
  addStages(measured, 'ours', { ms: 50, rsp });
  const median = (label: string): number => measured.summary(label).medianMs;
  expect(median('ours: kex')).toBe(10);
  expect(median('ours: the rest (HTTPS, checks, log)')).toBe(15);
  expect(median('ours, without barrier')).toBe(45);
  expect(median('ours, without verify')).toBe(50);
  expect(median('ours, without drain')).toBe(30);
});
