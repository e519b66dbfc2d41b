import { fenceAgentProgram, type Lab } from '@fenceline/lab';

const PORT = 623;
const PASSWORD = 'bmc-canary-4711';

/**
 * A BMC on `mgr`: Debian's IPMI simulator, whose chassis is a host of the lab.
 * @returns the parameters with which `fence_ipmilan` reaches it.
 */
export async function startBmc(lab: Lab, host: string): Promise<Record<string, string>> {
  const { mgr } = lab;
  await putFile(lab, 'lan.conf', lanConf(mgr.address));
  await putFile(lab, 'sim.emu', EMULATION);
  await putFile(lab, 'chassis', chassis(lab, host));
  await mgr.mustExec(['sh', '-c', 'chmod 700 /etc/ipmi/chassis && mkdir -p /run/ipmi']);
  const files = ['-c', '/etc/ipmi/lan.conf', '-f', '/etc/ipmi/sim.emu', '-s', '/run/ipmi'];
  await mgr.startService('bmc', { command: ['ipmi_sim', ...files, '-n'] });
  return {
    ip: mgr.address,
    ipport: String(PORT),
    username: 'admin',
    password: PASSWORD,
    lanplus: '1',
    // The newest suite is tried first, and this simulator takes 14 s to refuse it.
    cipher: '3',
  };
}

function putFile({ mgr }: Lab, name: string, input: string): Promise<string> {
  const write = ['sh', '-c', `mkdir -p /etc/ipmi && cat > /etc/ipmi/${name}`];
  return mgr.mustExec(write, { input });
}

const lanConf = (address: string): string => `
name "bmc"
set_working_mc 0x20
  startlan 1
    addr ${address} ${PORT}
    priv_limit admin
    allowed_auths_admin md5
    guid a123456789abcdefa123456789abcdef
  endlan
  chassis_control "/etc/ipmi/chassis"
  user 2 true "admin" "${PASSWORD}" admin 10 md5
`;

const EMULATION = `
mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
mc_enable 0x20
`;

/** `get power …` answers `power:1`; `set power 0` switches. */
const chassis = (lab: Lab, host: string): string => `#!/bin/sh
ask() {
  printf 'action=%s\\nplug=${host}\\nlab_dir=${lab.paths.dir}\\n' "$1" | ${fenceAgentProgram} >/dev/null
}
op=$1; shift
while [ -n "$1" ]; do
  case $op.$1 in
    get.power) if ask status; then echo power:1; else echo power:0; fi; shift;;
    get.*) echo "$1:0"; shift;;
    set.power) if [ "$2" = 0 ]; then ask off; else ask on; fi; shift 2;;
    set.*) shift 2;;
    *) exit 0;;
  esac
done
`;
