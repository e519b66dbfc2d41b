import { describe, expect, test } from '@jest/globals';
import { domainName, markRun, unmarkRun } from './domainXml.js';

const VM = '11111111-2222-4333-8444-555555555555';
const run = { vmUuid: VM, epoch: 42 };
const mark =
  '<metadata><fenceline:run xmlns:fenceline="https://fenceline.org/xmlns/run/1" epoch="42"/></metadata>';
const entry = '<sysinfo type="fwcfg"><entry name="opt/org.fenceline/run">42</entry></sysinfo>';
const domain = (inner: string): string =>
  `<domain type="kvm"><name>web1</name><uuid>${VM}</uuid>${inner}</domain>`;

test('F35: a definition gets the epoch in its metadata and in fw_cfg, nothing else changes', () => {
  const xml = domain(
    '<!-- <uuid>no</uuid> --><on_crash>restart</on_crash><a b="&lt;&quot;"> x &amp; </a>',
  );
  const marked = markRun(xml, run);
  expect(marked).toContain(mark);
  expect(marked).toContain(entry);
  expect(marked.replace(mark, '').replace(entry, '')).toBe(xml);
  expect(unmarkRun(marked, VM)).toBe(xml);
});

test('F35: marks of an earlier run are taken out, other metadata and entries stay', () => {
  const xml = domain(
    '<metadata><fl:run xmlns:fl="https://fenceline.org/xmlns/run/1" epoch="7"></fl:run><a:run xmlns:a="urn:other" epoch="1"/></metadata>' +
      '<sysinfo type="smbios"><bios/></sysinfo>' +
      '<sysinfo type="fwcfg"><entry name="opt/com.example">x</entry><entry name="opt/org.fenceline/run">7</entry></sysinfo>',
  );
  const marked = markRun(xml, run);
  expect(marked).not.toContain('epoch="7"');
  expect(marked).not.toContain('>7<');
  expect(marked).toContain('urn:other');
  expect(marked).toContain('<entry name="opt/com.example">x</entry>');
  expect(marked.match(/opt\/org\.fenceline\/run/g)).toHaveLength(1);
  expect(marked.match(/<metadata>/g)).toHaveLength(1);
  expect(markRun(marked, run)).toBe(marked);
});

test('F35: empty metadata and sysinfo elements are filled', () => {
  const marked = markRun(domain("<metadata/><sysinfo type='fwcfg' />"), run);
  expect(marked).toContain(mark);
  expect(marked).toContain(entry);
});

test.each([
  // definition                                                          why
  ['<shareable/>', 'libvirt then opens the image without a lock'],
  ['<shareable></shareable>', 'the same in the long form'],
] as const)('F40: a disk with %s is refused: %s', (inner, _why) => {
  const xml = domain(`<devices><disk type='file'><source file='/a'/>${inner}</disk></devices>`);
  expect(() => markRun(xml, run)).toThrow(expect.objectContaining({ code: 'REFUSED' }));
});

test.each([
  ["<qemu:arg value='driver=file,locking=off'/>", 'plain'],
  [
    "<qemu:arg value='{&quot;driver&quot;:&quot;file&quot;,&quot;locking&quot;:&quot;off&quot;}'/>",
    'JSON',
  ],
  ["<qemu:arg value='loc&#107;ing=off'/>", 'hidden in a character reference'],
] as const)('F40: image locking switched off is refused: %s (%s)', (arg, _why) => {
  const xml = domain(
    `<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>${arg}</qemu:commandline>`,
  );
  expect(() => markRun(xml, run)).toThrow(expect.objectContaining({ code: 'REFUSED' }));
});

describe('F18: XML that two parsers could read in two ways is refused', () => {
  test.each([
    // XML                                                        why
    [`<!DOCTYPE domain [<!ENTITY x "y">]>${domain('')}`, 'a doctype can define entities'],
    [domain('<a>&x;</a>'), 'an entity of its own'],
    [domain('<a>&x</a>'), 'an entity that does not end'],
    [domain('<![CDATA[<uuid>x</uuid>]]>'), 'CDATA hides markup'],
    [domain('<?pi x?>'), 'a processing instruction'],
    [domain('<a></b>'), 'tags that cross'],
    [domain('<a b=1/>'), 'an attribute without quotes'],
    [domain('<a b="1" b="2"/>'), 'an attribute twice'],
    [`${domain('')}<domain/>`, 'a second root'],
    [`${domain('')}x`, 'text after the root'],
    [domain('<!-- a -- b -->'), 'a comment in a comment'],
    [domain('<a>'), 'not closed'],
    ['', 'nothing'],
    [domain('<q:a/>'), 'a prefix that nothing binds'],
    [`<network><name>x</name><uuid>${VM}</uuid></network>`, 'not a domain'],
    [domain(`<uuid>${VM}</uuid>`), 'two uuids'],
    [domain('').replace('5555', '6666'), 'the uuid of another VM'],
    ["<domain type='kvm'><name>a</name></domain>", 'no uuid'],
    [`<domain><uuid>${VM}</uuid></domain>`, 'no name'],
    [`<domain><metadata><uuid>${VM}</uuid></metadata><name>a</name></domain>`, 'uuid elsewhere'],
  ] as const)('%s: %s', (xml, _why) => {
    expect(() => markRun(xml, run)).toThrow(expect.objectContaining({ code: 'BAD_INPUT' }));
  });
});

test('what libvirt itself writes is understood', () => {
  const xml = `<?xml version="1.0" encoding="utf-8"?>\n<domain type='kvm' id='3'>\n  <name>a &amp; b</name>\n  <uuid> ${VM.replaceAll('-', '').toUpperCase()} </uuid>\n</domain>\n`;
  expect(domainName(xml)).toBe('a & b');
  expect(markRun(xml, run)).toContain(entry);
});
