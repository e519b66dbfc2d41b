import path from 'node:path';
import { run, type RunResult } from '../run.js';
import type { Lab } from '../client.js';
import { packageRoot } from '../plan/paths.js';
import { expectThat, isSilent, startVm, thenHeal, type LabPromise } from './kit.js';
import { Vms } from '../vms.js';

const program = path.join(packageRoot, 'bin/fence_lab');

/** The power device, called as a fence agent is. */
export const powerPromises: readonly LabPromise[] = [
  {
    name: 'fence_lab switches a host off and on and reads its state, from inside mgr',
    async check(lab) {
      const h1 = lab.host('h1');
      const vm = await startVm(lab, h1);
      await thenHeal(h1, async () => {
        await agent(lab, 'status', [0, /Status: ON/]);
        await agent(lab, 'off', [0, /Success: Powered OFF/]);
        await isSilent(lab, vm.name);
        await agent(lab, 'status', [2, /Status: OFF/]);
        await agent(lab, 'off', [0, /Success: Powered OFF/]);
        await agent(lab, 'on', [0, /Success: Powered ON/]);
        await agent(lab, 'status', [0, /Status: ON/]);
      });
      await new Vms(lab).delete(vm.name);
    },
  },
  {
    name: 'a dead, a lying and an unknown outlet are what they are called',
    async check(lab) {
      try {
        await lab.powerDevice({ mode: 'dead' });
        await agent(lab, 'status', [1, /did not answer/]);
        await lab.powerDevice({ mode: 'lying' });
        await agent(lab, 'off', [0, /Success: Powered OFF/]);
        const { power } = await lab.host('h1').status();
        expectThat(power === 'on', 'a lying device did what it said');
        await lab.powerDevice({ mode: 'ok' });
        const input = `action=off\nplug=h9\nlab_dir=${lab.paths.dir}\n`;
        const wrong = await run([program], { input });
        expectThat(wrong.code === 1 && /h9/.test(wrong.stderr), `it said: ${wrong.stderr}`);
      } finally {
        await lab.powerDevice({ mode: 'ok' });
      }
    },
  },
];

/** Calls fence_lab inside `mgr`; it must end with this code and say this. */
async function agent(lab: Lab, action: string, [code, said]: [number, RegExp]): Promise<void> {
  const input = `action=${action}\nplug=h1\nlab_dir=${lab.paths.dir}\ntimeout=2\n`;
  const result: RunResult = await lab.mgr.exec([program], { input });
  const text = `${result.stdout}${result.stderr}`.trim();
  expectThat(result.code === code, `${action} ended with ${result.code}: ${text}`);
  expectThat(said.test(text), `${action} said: ${text}`);
}
