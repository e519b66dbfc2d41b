import { describe, expect, test } from '@jest/globals';
import { domainXml } from './domainXml.js';
import { nodeFiles } from './hostFiles.js';
import { keptPaths, mountSteps } from './mounts.js';
import { addressOf, hostName, hostNames, macOf, maxHosts, plainName, portOf } from './names.js';
import { addressScript, cableScript } from './net.js';
import { labPaths } from './paths.js';

describe('names', () => {
  test.each(['h1', 'h9', 'h64'])('%s is a host', (name) => {
    expect(hostName(name)).toBe(name);
  });

  test.each(['', 'h0', 'h65', 'h01', 'h100', 'mgr', 'h1 '])('"%s" is no host', (name) => {
    expect(() => hostName(name)).toThrow(/h1, h2/);
  });

  test('addresses, hardware addresses and device names are distinct and fit', () => {
    const nodes = ['sw', 'mgr', ...hostNames(maxHosts)] as const;
    const nets = ['management', 'storage'] as const;
    const all = nodes.flatMap((node) => nets.map((net) => [node, net] as const));
    expect(new Set(all.map(([node, net]) => addressOf(node, net))).size).toBe(all.length);
    expect(new Set(all.map(([node, net]) => macOf(node, net))).size).toBe(all.length);
    for (const [node, net] of all) expect(portOf(node, net).length).toBeLessThan(16);
    expect(addressOf('h3', 'storage')).toBe('10.77.2.13');
  });

  test.each(['a/b', '../x', '', '-x', 'a b', 'x'.repeat(65)])('"%s" is no plain name', (text) => {
    expect(() => plainName(text, 'disk')).toThrow(/cannot be the name/);
  });
});

describe('lab directory', () => {
  test.each([
    ['/run/lab', '/run is lost with the power'],
    ['/srv', 'the share is mounted there'],
    ['/root/lab', 'nodes have their own'],
    ['/var/lib/lab', 'nodes have their own'],
    ['/', 'no directory of its own'],
    [`/tmp/${'x'.repeat(90)}`, 'too long for a socket'],
  ])('%s is refused: %s', (dir) => {
    expect(() => labPaths(dir)).toThrow(/lab directory/);
  });

  test('the default, the environment and the argument, in growing rank', () => {
    expect(labPaths(undefined, {}).dir).toBe('/tmp/fenceline-lab');
    expect(labPaths(undefined, { FENCELINE_LAB_DIR: '/tmp/a' }).dir).toBe('/tmp/a');
    expect(labPaths('/tmp/b/', { FENCELINE_LAB_DIR: '/tmp/a' }).dir).toBe('/tmp/b');
  });

  test('labs in different directories have different control groups', () => {
    expect(labPaths('/tmp/a').groupName).not.toBe(labPaths('/tmp/b').groupName);
  });
});

describe('mounts', () => {
  test('only what a node would lose is kept, each once, the outer one', () => {
    const needed = ['/home/me/repo', '/root/repo', '/root/repo/x', '/root/repo', '/var/lab'];
    expect(keptPaths(needed)).toEqual(['/root/repo', '/var/lab']);
    expect(keptPaths(['/rootless/repo', '/variable'])).toEqual([]);
  });

  test('control groups come before the mounts that hide them', () => {
    const steps = mountSteps({ node: 'h1', nodeDir: '/l/h1', cgroups: ['/cg/h1'], needed: [] });
    expect(steps.indexOf('cgroup=/cg/h1')).toBeLessThan(steps.indexOf('sys'));
    expect(steps).toContain('bind=/l/h1/boot-id:/proc/sys/kernel/random/boot_id');
    expect(steps.indexOf('proc')).toBeLessThan(steps.findIndex((s) => s.includes('boot-id')));
  });

  test('mgr has no shared storage, sw nothing of its own but the volatile', () => {
    const plan = { nodeDir: '/l/n', cgroups: [], needed: [] };
    expect(mountSteps({ node: 'mgr', ...plan })).not.toContain('dir=/srv/shared');
    expect(mountSteps({ node: 'sw', ...plan }).join()).not.toContain('bind=');
  });
});

describe('net', () => {
  test('a cut net is cabled but not plugged in', () => {
    const script = cableScript('h1', 42, new Set(['storage'] as const));
    expect(script).toMatch(/link add h1-s .* netns 42/);
    expect(script).toContain('link set h1-m master brm');
    expect(script).not.toContain('link set h1-s master');
  });

  test('mgr is on the management net only', () => {
    expect(addressScript('mgr')).not.toContain('stor');
  });
});

describe('files', () => {
  const uuid = '01234567-89ab-4def-8123-456789abcdef';

  test('a host has one uuid for libvirt and as machine id, and its own SSH configuration', () => {
    const files = new Map(nodeFiles('h1', { uuid }).map((file) => [file.path, file.text]));
    expect(files.get('/etc/machine-id')).toBe('0123456789ab4def8123456789abcdef\n');
    expect(files.get('/etc/libvirt/libvirtd.conf')).toContain(`host_uuid = "${uuid}"`);
    expect(files.get('/etc/hosts')).toContain('10.77.1.12 h2');
  });

  test('mgr has neither', () => {
    const paths = nodeFiles('mgr', { uuid }).map((file) => file.path);
    expect(paths.filter((file) => /ssh|libvirt/.test(file))).toEqual([]);
  });
});

describe('domain', () => {
  const options = { name: 'web1', uuid: 'u', disk: '/srv/shared/a&b.img' };

  test('values are escaped, the CPU is the emulated one', () => {
    const xml = domainXml("<a file='{{disk}}' type='{{type}}'>{{cpu}}</a>", options);
    expect(xml).toBe(
      "<a file='/srv/shared/a&amp;b.img' type='qemu'><cpu><model>qemu64</model></cpu></a>",
    );
  });

  test('an unknown place holder is an error', () => {
    expect(() => domainXml('{{nothing}}', options)).toThrow(/nothing/);
  });
});
