import { expect, test } from '@jest/globals';
import { isSameOutlet } from './powerOutletRules.js';

type Parameters = Record<string, string>;
const device = (agent: string, parameters: Parameters) => ({ agent, parameters });
const apc = { ip: '192.0.2.121', username: 'fence', password: 'a', plug: '7' };
const bmc = { ip: '192.0.2.111', username: 'fence', password: 'a' };

test.each<[string, [string, Parameters], [string, Parameters]]>([
  ['word for word', ['fence_apc', apc], ['fence_apc', apc]],
  ['another login', ['fence_apc', apc], ['fence_apc', { ...apc, username: 'x', passwd: 'b' }]],
  ['an option more', ['fence_apc', apc], ['fence_apc', { ...apc, ssh: '1', power_wait: '5' }]],
  ['other names', ['fence_apc', apc], ['fence_apc', { ipaddr: apc.ip, port: '7' }]],
  ['other case', ['fence_apc', apc], ['fence_apc', { IP: apc.ip, Plug: ' 07 ' }]],
  ['a full path', ['fence_apc', apc], ['/usr/sbin/fence_apc', apc]],
  ['its usual port', ['fence_apc', apc], ['fence_apc', { ...apc, ipport: '23' }]],
  ['a BMC has no outlets', ['fence_ipmilan', bmc], ['fence_ipmilan', { ...bmc, plug: 'h3' }]],
  ['a BMC, its port', ['fence_ipmilan', bmc], ['fence_ipmilan', { ...bmc, ipport: '623' }]],
  ['names of one program', ['fence_ipmilan', bmc], ['fence_idrac', { ...bmc, lanplus: '1' }]],
  [
    'the plug is the address',
    ['fence_ipmilan', bmc],
    ['fence_ipmilan', { plug: bmc.ip, 'port-as-ip': '1' }],
  ],
  [
    'IPv6',
    ['fence_apc', { ...apc, ip: '2001:DB8:0::1' }],
    ['fence_apc', { ...apc, ip: '[2001:db8::1]' }],
  ],
  [
    'a name',
    ['fence_apc', { ...apc, ip: 'PDU.example.' }],
    ['fence_apc', { ...apc, ip: 'pdu.example' }],
  ],
  [
    'a uuid',
    ['fence_vmware_soap', { ip: 'v', uuid: '4C4C4544-0042-4810-8057-B4C04F4D3132' }],
    ['fence_vmware_soap', { ip: 'v', plug: '4c4c4544004248108057b4c04f4d3132' }],
  ],
  [
    'a node that only one names',
    ['fence_pve', { ip: 'p', plug: '101' }],
    ['fence_pve', { ip: 'p', plug: '101', pve_node: 'n1' }],
  ],
  [
    'a program of the site',
    ['/opt/rack', { rack: '1', password: 'a' }],
    ['/opt/rack', { rack: '1', password: 'b' }],
  ],
])('powerOff: one outlet, %s', (_name, one, other) => {
  expect(isSameOutlet(device(...one), device(...other))).toBe(true);
  expect(isSameOutlet(device(...other), device(...one))).toBe(true);
});

test.each<[string, [string, Parameters], [string, Parameters]]>([
  ['another outlet', ['fence_apc', apc], ['fence_apc', { ...apc, plug: '8' }]],
  ['another PDU', ['fence_apc', apc], ['fence_apc', { ...apc, ip: '192.0.2.122' }]],
  ['another program', ['fence_apc', apc], ['fence_wti', apc]],
  [
    'another switch',
    ['fence_apc', { ...apc, switch: '1' }],
    ['fence_apc', { ...apc, switch: '2' }],
  ],
  [
    'BMCs behind ports of one address',
    ['fence_ipmilan', { ...bmc, ipport: '6230' }],
    ['fence_ipmilan', { ...bmc, ipport: '6231' }],
  ],
  [
    'machines of one chassis',
    ['fence_redfish', { ...bmc, systems_uri: '/1' }],
    ['fence_redfish', { ...bmc, 'systems-uri': '/2' }],
  ],
  ['a program of the site', ['/opt/rack', { rack: '1' }], ['/opt/rack', { rack: '2' }]],
  ['files', ['fence_dummy', { status_file: '/a' }], ['fence_dummy', { status_file: '/b' }]],
])('powerOff: two outlets, %s', (_name, one, other) => {
  expect(isSameOutlet(device(...one), device(...other))).toBe(false);
  expect(isSameOutlet(device(...other), device(...one))).toBe(false);
});
