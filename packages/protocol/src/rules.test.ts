import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseBody, problemsOf } from './body.js';
import {
  Address,
  BooleanInQuery,
  dashed,
  Epoch,
  isAddress,
  isUuid,
  List,
  Nullable,
  NumberInQuery,
  Optional,
  Part,
  Port,
  required,
  Uuid,
} from './rules.js';
import { IsArray, IsBoolean, IsInt, IsString } from 'class-validator';

const HEX = '0123456789abcdef0123456789abcdef';

describe('uuid', () => {
  test.each<[unknown, boolean, string]>([
    [HEX, true, 'the 32 digits of a libvirt or ZStack habit'],
    ['01234567-89ab-cdef-0123-456789abcdef', true, 'dashed'],
    ['01234567-89AB-CDEF-0123-456789ABCDEF', true, 'upper case'],
    ['0123456789abcdef0123456789abcde', false, 'one digit short'],
    [`${HEX}0`, false, 'one digit long'],
    [`${HEX}\n`, false, 'a newline would end a line of the fence program'],
    [`${HEX} ; rm`, false, 'nothing may follow'],
    ['01234567-89abcdef-0123-4567-89abcdef', false, 'dashes elsewhere'],
    ['g1234567-89ab-cdef-0123-456789abcdef', false, 'no hex digit'],
    ['', false, 'empty'],
    [42, false, 'not a text'],
    [[HEX], false, 'a list of one would print as a uuid'],
  ])('%j is one: %s (%s)', (value, expected) => {
    expect(isUuid(value)).toBe(expected);
  });

  test('dashed is one spelling for both forms, and settles at once', () => {
    fc.assert(
      fc.property(fc.uuid(), (uuid) => {
        const bare = uuid.replaceAll('-', '').toUpperCase();
        expect(dashed(bare)).toBe(uuid);
        expect(dashed(dashed(bare))).toBe(uuid);
      }),
    );
  });
});

describe('address', () => {
  test.each<[unknown, boolean, string]>([
    ['192.0.2.11', true, 'IPv4'],
    ['2001:db8::1', true, 'IPv6'],
    ['::ffff:192.0.2.1', true, 'IPv4 inside IPv6'],
    ['kvm-1.example.org', true, 'a name'],
    ['h1', true, 'a short name'],
    ['xn--bcher-kva.example', true, 'an international name, as DNS writes it'],
    ['bücher.example', false, 'unicode may look like another host'],
    ['192.0.2.11 ', false, 'a space'],
    ['a b', false, 'a space inside'],
    ['-oProxyCommand=x', false, 'an option of ssh'],
    ['-1', false, 'an option'],
    ['h1\n', false, 'a newline'],
    ['h1\0', false, 'a zero byte'],
    ['$(id)', false, 'a shell'],
    ['`id`', false, 'a shell'],
    ['h1;id', false, 'a shell'],
    ['root@h1', false, 'a user is no part of an address'],
    ['h1:22', false, 'nor is a port'],
    ['../h1', false, 'nor a path'],
    ['fe80::1%eth0', false, 'a zone is free text'],
    [':::', false, 'colons alone'],
    ['[::1]', false, 'brackets belong to a url'],
    ['1.2.3', false, 'a resolver reads it as 1.2.0.3'],
    ['127.1', false, 'a resolver reads it as 127.0.0.1'],
    ['2130706433', false, 'a resolver reads it as 127.0.0.1'],
    ['0x7f.1', false, 'a resolver reads it as 127.0.0.1'],
    ['h1.0x7f', false, 'no top level domain is a number'],
    ['999.1.1.1', false, 'not an address, and no name'],
    ['h1.', false, 'an empty label'],
    ['a..b', false, 'an empty label'],
    ['a-', false, 'a label ends with a letter or digit'],
    ['a'.repeat(64), false, 'a label has at most 63 characters'],
    [`${'a'.repeat(63)}.`.repeat(4) + 'org', false, 'a name has at most 253 characters'],
    ['', false, 'empty'],
    [null, false, 'absent'],
    [['h1'], false, 'a list of one would print as a name'],
  ])('%j is one: %s (%s)', (value, expected) => {
    expect(isAddress(value)).toBe(expected);
  });

  test('every IPv4 and IPv6 address is one', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (address) => {
        expect(isAddress(address)).toBe(true);
      }),
    );
  });

  test('an accepted address never means anything to a shell, a url or an option parser', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        if (isAddress(text)) expect(text).toMatch(/^[A-Za-z0-9:][A-Za-z0-9.:-]*$/);
      }),
      { numRuns: 2_000 },
    );
  });
});

class Inner {
  @IsString() name = required<string>();
}

class Sample {
  @Uuid() id = required<string>();
  @Port() port = 22;
  @Epoch() epoch = required<number>();
  @IsArray() @Address({ each: true }) addresses: string[] = [];
  @Optional() @IsInt() maybe?: number;
  @Optional() @IsInt() withDefault = 7;
  @Nullable() @IsInt() nullable: number | null = null;
  @Optional() @Part(() => Inner) part?: Inner;
  @List(() => Inner, 2) list: Inner[] = [];
}

const good = { id: HEX, epoch: 3 };

function problemOf(fields: object): string {
  try {
    parseBody(Sample, { ...good, ...fields });
    return '';
  } catch (error) {
    return String(error);
  }
}

describe('rules of a body', () => {
  test.each<[object, string, string]>([
    [{}, '', 'the smallest good one'],
    [{ port: 0 }, 'port', 'ports start at 1'],
    [{ port: 65_536 }, 'port', 'and end at 65535'],
    [{ port: '22' }, 'port', 'no text in JSON'],
    [{ port: 22.5 }, 'port', 'whole'],
    [{ epoch: undefined }, 'epoch', 'a field that must arrive: absent is not 0'],
    [{ epoch: null }, 'epoch', 'nor is null'],
    [{ epoch: -1 }, 'epoch', 'epochs start at 0'],
    [{ epoch: 2 ** 53 }, 'epoch', 'a number that is not exact'],
    [{ addresses: ['h1', '-x'] }, 'addresses', 'each one'],
    [{ addresses: 'h1' }, 'addresses', 'a list'],
    [{ maybe: null }, '', 'null is absent'],
    [{ maybe: 'x' }, 'maybe', 'present means valid'],
    [{ nullable: null }, '', 'null is a value here'],
    [{ part: [] }, 'part', 'a list is no object'],
    [{ part: [{ name: 'x' }] }, 'part', 'not even of a good one'],
    [{ part: 'x' }, 'part', 'nor is a text'],
    [{ part: {} }, 'part.name', 'the path of a nested field'],
    [{ list: [{ name: 'a' }] }, '', 'a good list'],
    [{ list: [null] }, 'list', 'null is no object'],
    [{ list: [[{ name: 'a' }]] }, 'list', 'nor is a list'],
    [{ list: ['a'] }, 'list', 'nor is a text'],
    [{ list: {} }, 'list', 'a list is needed'],
    [{ list: [{ name: 'a' }, {}] }, 'list.1.name', 'the index is in the path'],
    [{ list: [{ name: 'a' }, { name: 'b' }, { name: 'c' }] }, 'list', 'the bound'],
  ])('%j is refused for %j: %s', (fields, field) => {
    const problem = problemOf(fields);
    if (field === '') expect(problem).toBe('');
    else expect(problem).toContain(`${field}: `);
  });

  test('null leaves a default in force; a nullable field keeps the null', () => {
    const body = parseBody(Sample, { ...good, withDefault: null, nullable: null });
    expect(body.withDefault).toBe(7);
    expect(body.nullable).toBeNull();
    expect(problemsOf(body)).toEqual([]);
  });
});

class Query {
  @NumberInQuery() @IsInt() limit = 10;
  @BooleanInQuery() @IsBoolean() all = false;
}

describe('rules of a query', () => {
  test.each<[object, object | string, string]>([
    [{ limit: '25', all: 'true' }, { limit: 25, all: true }, 'text becomes what is meant'],
    [{ limit: 25, all: false }, { limit: 25, all: false }, 'values stay'],
    [{ limit: '', all: 'false' }, 'limit', 'no text is no number'],
    [{ limit: '0x10' }, 'limit', 'nor is any other notation'],
    [{ limit: ' 1' }, 'limit', 'nor with a space'],
    [{ limit: ['1', '2'] }, 'limit', 'nor twice'],
    [{ all: 'yes' }, 'all', 'one spelling'],
  ])('%j gives %j: %s', (fields, expected) => {
    if (typeof expected === 'string')
      expect(() => parseBody(Query, fields)).toThrow(`${expected}: `);
    else expect(parseBody(Query, fields)).toEqual(expected);
  });
});
