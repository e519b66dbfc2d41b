import type { EventView, TaskView } from '@fenceline/protocol';
import {
  deedLine,
  endLines,
  milestoneLines,
  statusLines,
  timelineLine,
  titleLines,
} from './render.js';
import { resultOf, type ScenarioResult } from './result.js';
import type { DemoSite, OpenDemoSite } from './site.js';
import { milestonesOf, type StoryOf } from './stages.js';
import type { Scenario } from './story.js';

/** The VM that is brought back, and another one on another host that nothing may happen to. */
const VM = 'web1';
const BYSTANDER = 'db1';

const LOOK_EVERY_MS = 200;
const SETUP_LIMIT_MS = 120_000;
const STORY_LIMIT_MS = 180_000;
/** The retry of a refused task has its back-off: two minutes by default. */
const RETRY_LIMIT_MS = 300_000;
/** How long people may look at a refusal before the storage returns. */
const PAUSE_MS = 3_000;
/** After the end of the story, a second copy would show itself. */
const AFTERWARDS_MS = 2_000;

/** Receives the lines for people, as they come. */
export type Tell = (line: string) => void;

/**
 * Plays one scenario on a fresh site, telling it as it goes.
 * @throws Error if the site could not be set up, or the story did not end in time.
 */
export async function playScenario(
  open: OpenDemoSite,
  scenario: Scenario,
  tell: Tell,
): Promise<ScenarioResult> {
  for (const line of titleLines(scenario)) tell(line);
  const site = await open({ powerDevices: scenario.powerDevices });
  try {
    return await new Play(site, scenario, tell).run();
  } finally {
    await site.close();
  }
}

class Play {
  #events: EventView[] = [];
  #told = 0;
  #faultAtMs = 0;

  constructor(
    private readonly site: DemoSite,
    private readonly scenario: Scenario,
    private readonly tell: Tell,
  ) {}

  async run(): Promise<ScenarioResult> {
    const { site, scenario, tell } = this;
    const [hurt, other] = site.hosts.map(({ name }) => name);
    if (hurt === undefined || other === undefined) throw new Error('the demo needs two hosts');
    const of = await this.#setUp(hurt, other);
    this.#showLines(statusLines(await site.api.status({}, callLimit)));
    await this.#skipEvents();
    this.#faultAtMs = site.wallMs();
    const story = { ...of, faultAtMs: this.#faultAtMs };
    tell(deedLine(scenario.deed(hurt)));
    await site.hurt(hurt, scenario.fault);
    const startsBeforeReturn = await this.#watch(story, hurt);
    await site.sleep(AFTERWARDS_MS);
    await this.#readEvents(story);
    const word = await site.check(VM);
    const waysOut = (await this.#task(story.vmUuid))?.waysOut ?? [];
    const seen = {
      milestones: milestonesOf(this.#events, story),
      startsSent: this.#startsSent(story),
      startsBeforeReturn,
      liveWriters: word.liveWriters,
      waysOut,
    };
    const result = resultOf(scenario, seen);
    this.#showLines(endLines(scenario, { result, word, waysOut }));
    const { broken: _broken, ...told } = result;
    return told;
  }

  /** Hosts connected, power proven, VMs running and protected. */
  async #setUp(hurt: string, other: string): Promise<Omit<StoryOf, 'faultAtMs'>> {
    const { api, hosts } = this.site;
    for (const host of hosts) await api.addHost(host, callLimit);
    await this.#until('every host is Connected', () => this.#allConnected());
    for (const { name, powerDevice } of hosts)
      if (powerDevice !== undefined) {
        await api.verifyHostPower({ host: name }, longLimit);
        await this.#until(`${name} is back`, () => this.#allConnected());
      }
    await this.#startVm(BYSTANDER, other);
    const vmUuid = await this.#startVm(VM, hurt);
    const host = await api.showHost({ host: hurt }, callLimit);
    return { vmUuid, hostUuid: host.uuid };
  }

  async #startVm(name: string, host: string): Promise<string> {
    const { api } = this.site;
    await this.site.defineVm(name);
    const { uuid } = await api.importVm({ host, vm: name }, callLimit);
    await api.protectVm({ vm: name, level: 'onHostFailure' }, callLimit);
    await api.startVm({ vm: name, host }, callLimit);
    await this.#until(`${name} runs on ${host}`, async () => {
      const vm = await api.showVm({ vm: name }, callLimit);
      return vm.state === 'Running' && vm.hostName === host && vm.openTaskUuid === null;
    });
    return uuid;
  }

  /** @returns start commands before the storage returned; undefined where it never hung. */
  async #watch(story: StoryOf, hurt: string): Promise<number | undefined> {
    const ended = (): boolean =>
      this.#has('vm.seenRunning', story) || this.#has('ha.task.refused', story);
    await this.#follow(story, { until: ended, limitMs: STORY_LIMIT_MS });
    if (this.scenario.fault !== 'stuck') return undefined;
    await this.site.sleep(PAUSE_MS);
    await this.#readEvents(story);
    const starts = this.#startsSent(story);
    const atMs = this.site.wallMs() - this.#faultAtMs;
    this.tell(timelineLine(atMs, 'storage', `the storage of ${hurt} answers again`));
    await this.site.storageReturns(hurt);
    const until = (): boolean => this.#has('vm.seenRunning', story);
    await this.#follow(story, { until, limitMs: RETRY_LIMIT_MS });
    return starts;
  }

  async #follow(
    story: StoryOf,
    { until, limitMs }: { until: () => boolean; limitMs: number },
  ): Promise<void> {
    const endMs = this.site.wallMs() + limitMs;
    for (;;) {
      await this.#readEvents(story);
      if (until()) return;
      // What was seen until then is judged.
      if (this.site.wallMs() > endMs) return;
      await this.site.sleep(LOOK_EVERY_MS);
    }
  }

  #has(kind: string, { vmUuid }: StoryOf): boolean {
    return this.#events.some((event) => event.kind === kind && event.vmUuid === vmUuid);
  }

  #startsSent({ vmUuid }: StoryOf): number {
    return this.#events.filter(({ kind, vmUuid: of }) => kind === 'ha.start.sent' && of === vmUuid)
      .length;
  }

  async #readEvents(story: StoryOf): Promise<void> {
    for (;;) {
      const after = this.#lastId;
      const page = await this.site.api.listEvents({ after, limit: 200 }, callLimit);
      if (page.items.length === 0) break;
      this.#events.push(...page.items);
      this.#lastId = page.items.at(-1)?.id ?? after;
    }
    const milestones = milestonesOf(this.#events, story);
    for (const milestone of milestones.slice(this.#told))
      this.#showLines(milestoneLines(milestone));
    this.#told = milestones.length;
  }

  #lastId = 0;

  /** The story begins now: what happened before is not part of it. */
  async #skipEvents(): Promise<void> {
    const page = await this.site.api.listEvents({ limit: 1 }, callLimit);
    this.#lastId = page.items[0]?.id ?? 0;
    this.#events = [];
  }

  async #task(vmUuid: string): Promise<TaskView | undefined> {
    const page = await this.site.api.listTasks({ vm: vmUuid, limit: 1 }, callLimit);
    return page.items[0];
  }

  async #allConnected(): Promise<boolean> {
    const page = await this.site.api.listHosts({}, callLimit);
    return page.items.every((host) => host.status === 'Connected' && host.liveness === 'online');
  }

  async #until(what: string, isSo: () => Promise<boolean>): Promise<void> {
    const endMs = this.site.wallMs() + SETUP_LIMIT_MS;
    while (!(await isSo())) {
      if (this.site.wallMs() > endMs) throw new Error(`the demo waited in vain until ${what}`);
      await this.site.sleep(LOOK_EVERY_MS);
    }
  }

  #showLines(lines: readonly string[]): void {
    for (const line of lines) this.tell(line);
  }
}

const callLimit = { deadlineMs: 30_000 };
/** Off, read back, on, and the host has to boot. */
const longLimit = { deadlineMs: 300_000 };
