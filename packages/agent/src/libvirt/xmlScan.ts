import { DomainError } from '@fenceline/protocol';

/** One element of a scanned document, with the offsets that an edit needs. */
export interface XmlElement {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly parent: XmlElement | undefined;
  readonly children: XmlElement[];
  /** Offset of `<` of the opening tag. */
  readonly start: number;
  /** Offset after `>` of the opening tag. */
  readonly openEnd: number;
  /** Offset of `<` of the closing tag; `openEnd` for `<x/>`. */
  closeStart: number;
  /** Offset after the element. */
  end: number;
  readonly selfClosed: boolean;
}

const MAX_DEPTH = 64;
const MAX_ELEMENTS = 20_000;
const NAME = /^[A-Za-z_][\w.:-]*$/;
const ATTRIBUTE = /\s+([A-Za-z_][\w.:-]*)\s*=\s*("[^"<]*"|'[^'<]*')/y;
const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/**
 * Scans the subset of XML that libvirt writes: elements, attributes, text, comments and one XML
 * declaration. Everything that could make two parsers disagree (doctype, entities of one's own,
 * CDATA, processing instructions) is refused, so that what was checked is what libvirt reads.
 * @throws DomainError BAD_INPUT with the offset.
 */
export function scanXml(text: string): XmlElement {
  const scan: Scan = {
    text,
    at: skipDeclaration(text),
    root: undefined,
    open: undefined,
    count: 0,
  };
  while (scan.at < text.length) step(scan);
  if (scan.open !== undefined) throw bad(scan, `<${scan.open.name}> is not closed`);
  if (scan.root === undefined) throw bad(scan, 'there is no element');
  return scan.root;
}

interface Scan {
  readonly text: string;
  at: number;
  root: XmlElement | undefined;
  open: XmlElement | undefined;
  count: number;
}

function step(scan: Scan): void {
  const { text, at } = scan;
  if (text.startsWith('<!--', at)) skipComment(scan);
  else if (text.startsWith('<!', at)) throw bad(scan, 'doctype, entities and CDATA are refused');
  else if (text.startsWith('<?', at)) throw bad(scan, 'processing instructions are refused');
  else if (text.startsWith('</', at)) closeTag(scan);
  else if (text[at] === '<') openTag(scan);
  else skipText(scan);
}

function skipDeclaration(text: string): number {
  const found = /^\uFEFF?\s*<\?xml\s[^<>]*\?>/.exec(text);
  return found === null ? 0 : found[0].length;
}

function skipComment(scan: Scan): void {
  const end = scan.text.indexOf('--', scan.at + 4);
  if (end < 0 || scan.text[end + 2] !== '>') throw bad(scan, 'a comment does not end');
  scan.at = end + 3;
}

function skipText(scan: Scan): void {
  const next = scan.text.indexOf('<', scan.at);
  const end = next < 0 ? scan.text.length : next;
  const raw = scan.text.slice(scan.at, end);
  if (scan.open === undefined && raw.trim() !== '')
    throw bad(scan, 'text outside of the root element');
  decode(raw, scan);
  scan.at = end;
}

function openTag(scan: Scan): void {
  const { text, at, open } = scan;
  const name = /^[^\s/>]*/.exec(text.slice(at + 1, at + 200))?.[0] ?? '';
  if (!NAME.test(name)) throw bad(scan, 'a tag has no valid name');
  const attributes = new Map<string, string>();
  ATTRIBUTE.lastIndex = at + 1 + name.length;
  let end = ATTRIBUTE.lastIndex;
  for (let found = ATTRIBUTE.exec(text); found !== null; found = ATTRIBUTE.exec(text)) {
    const [, key = '', quoted = ''] = found;
    if (attributes.has(key)) throw bad(scan, `attribute ${key} twice in <${name}>`);
    attributes.set(key, decode(quoted.slice(1, -1), scan));
    end = ATTRIBUTE.lastIndex;
  }
  const close = /^\s*(\/?)>/.exec(text.slice(end, end + 1_000));
  if (close === null) throw bad(scan, `<${name}> is not well formed`);
  const selfClosed = close[1] === '/';
  const openEnd = end + close[0].length;
  const element: XmlElement = {
    name,
    attributes,
    parent: open,
    children: [],
    start: at,
    openEnd,
    closeStart: openEnd,
    end: openEnd,
    selfClosed,
  };
  attach(scan, element);
  scan.at = openEnd;
}

function attach(scan: Scan, element: XmlElement): void {
  scan.count += 1;
  if (scan.count > MAX_ELEMENTS) throw bad(scan, `more than ${MAX_ELEMENTS} elements`);
  if (depthOf(element) > MAX_DEPTH) throw bad(scan, `deeper than ${MAX_DEPTH} elements`);
  if (scan.open === undefined && scan.root !== undefined) throw bad(scan, 'a second root element');
  scan.root ??= element;
  scan.open?.children.push(element);
  if (!element.selfClosed) scan.open = element;
}

function closeTag(scan: Scan): void {
  const found = /^<\/([A-Za-z_][\w.:-]*)\s*>/.exec(scan.text.slice(scan.at, scan.at + 300));
  const { open } = scan;
  if (found === null || open === undefined || found[1] !== open.name)
    throw bad(scan, `the closing tag does not fit${open === undefined ? '' : ` <${open.name}>`}`);
  open.closeStart = scan.at;
  open.end = scan.at + found[0].length;
  scan.at = open.end;
  scan.open = open.parent;
}

function depthOf(element: XmlElement): number {
  let depth = 1;
  for (let up = element.parent; up !== undefined; up = up.parent) depth += 1;
  return depth;
}

/** Text of an element without children, decoded and trimmed. */
export function textOf(element: XmlElement, source: string): string {
  const raw = source.slice(element.openEnd, element.closeStart).replaceAll(/<!--[^]*?-->/g, '');
  return decode(raw, { text: source, at: element.openEnd }).trim();
}

function decode(raw: string, where: Pick<Scan, 'text' | 'at'>): string {
  return raw.replaceAll(/&([^;]{0,32});?/g, (whole, name: string) => {
    const known = ENTITIES[name];
    if (whole.endsWith(';') && known !== undefined && Object.hasOwn(ENTITIES, name)) return known;
    const code = /^#(?:x([0-9a-fA-F]{1,6})|([0-9]{1,7}))$/.exec(name);
    const point =
      code === null ? NaN : Number.parseInt(code[1] ?? code[2] ?? '', code[1] ? 16 : 10);
    if (!whole.endsWith(';') || !(point > 0 && point <= 0x10ffff))
      throw bad(where, 'an entity that is not one of the five of XML');
    return String.fromCodePoint(point);
  });
}

function bad({ at }: Pick<Scan, 'at'>, why: string): DomainError {
  return new DomainError('BAD_INPUT', `domainXml: ${why} (at character ${at})`);
}
