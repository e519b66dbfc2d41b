export { DEMO_USAGE, parseDemoWish, playDemo, type DemoOutput, type DemoWish } from './command.js';
export { playScenario, type Tell } from './play.js';
export type { ScenarioResult } from './result.js';
export type { DemoFault, DemoSite, DiskWord, OpenDemoSite } from './site.js';
export { milestonesOf, stagesOf, type Milestone, type Stage } from './stages.js';
export {
  chooseScenarios,
  SCENARIO_NAMES,
  scenarioOf,
  type Scenario,
  type ScenarioName,
} from './story.js';
