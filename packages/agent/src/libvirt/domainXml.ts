import { dashed, DomainError, isUuid } from '@fenceline/protocol';
import { scanXml, textOf, type XmlElement } from './xmlScan.js';

/** Name of the fw_cfg file that carries a run's epoch in qemu's arguments (F35). */
export const RUN_MARK = 'opt/org.fenceline/run';
/** Namespace of the run's element in a domain's metadata. */
export const RUN_NAMESPACE = 'https://fenceline.org/xmlns/run/1';

interface Edit {
  start: number;
  end: number;
  text: string;
}

/**
 * A definition with the mark of one run: metadata element and fw_cfg entry with the epoch (F35).
 * Marks of earlier runs are taken out; nothing else changes.
 * @throws DomainError BAD_INPUT for XML that is not this VM's domain; REFUSED for a definition that
 * would let two qemus write to one image (F40).
 */
export function markRun(domainXml: string, run: { vmUuid: string; epoch: number }): string {
  const root = domainOf(domainXml, run.vmUuid);
  refuseSharedWriting(root);
  const metadata = `<fenceline:run xmlns:fenceline='${RUN_NAMESPACE}' epoch='${run.epoch}'/>`;
  const entry = `<entry name='${RUN_MARK}'>${run.epoch}</entry>`;
  return apply(domainXml, [
    ...oldMarks(root),
    insertInto(root, {
      in: metadataOf(root),
      open: '<metadata>',
      name: 'metadata',
      text: metadata,
    }),
    insertInto(root, {
      in: fwCfgOf(root)[0],
      open: "<sysinfo type='fwcfg'>",
      name: 'sysinfo',
      text: entry,
    }),
  ]);
}

/** A definition without the mark of any run, as the server stores it. @throws as markRun. */
export function unmarkRun(domainXml: string, vmUuid: string): string {
  const root = domainOf(domainXml, vmUuid);
  return apply(domainXml, oldMarks(root));
}

/** Name of the domain. @throws DomainError BAD_INPUT. */
export function domainName(domainXml: string): string {
  const name = scanXml(domainXml).children.find((child) => child.name === 'name');
  if (name === undefined) throw new DomainError('BAD_INPUT', 'domainXml: <name> is missing');
  return textOf(name, domainXml);
}

function domainOf(text: string, vmUuid: string): XmlElement {
  const root = scanXml(text);
  if (root.name !== 'domain') throw new DomainError('BAD_INPUT', 'domainXml: not a <domain>');
  const [uuid, ...more] = root.children.filter((child) => child.name === 'uuid');
  const value = uuid === undefined ? '' : textOf(uuid, text);
  if (more.length > 0 || !isUuid(value) || dashed(value) !== dashed(vmUuid))
    throw new DomainError('BAD_INPUT', 'domainXml: its <uuid> is not that of the VM', {
      vmUuid: dashed(vmUuid),
    });
  if (root.children.filter((child) => child.name === 'name').length !== 1)
    throw new DomainError('BAD_INPUT', 'domainXml: exactly one <name> is needed');
  return root;
}

// safety: these two take away the image lock, the last thing between two qemus and one disk (F40).
function refuseSharedWriting(root: XmlElement): void {
  for (const element of everyElement(root)) {
    if (element.name === 'shareable' && element.parent?.name === 'disk')
      throw new DomainError('REFUSED', 'domainXml: a protected VM may not have <shareable/> disks');
    const unlocked = [...element.attributes.values()].some((value) =>
      /locking["'\s]*[=:]["'\s]*off/i.test(value),
    );
    if (unlocked)
      throw new DomainError(
        'REFUSED',
        'domainXml: a protected VM may not switch image locking off',
      );
  }
}

function* everyElement(root: XmlElement): Generator<XmlElement> {
  const left = [root];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    yield next;
    left.push(...next.children);
  }
}

function metadataOf(root: XmlElement): XmlElement | undefined {
  return root.children.find((child) => child.name === 'metadata');
}

function fwCfgOf(root: XmlElement): XmlElement[] {
  return root.children.filter(
    (child) => child.name === 'sysinfo' && child.attributes.get('type') === 'fwcfg',
  );
}

function oldMarks(root: XmlElement): Edit[] {
  const entries = fwCfgOf(root)
    .flatMap((sysinfo) => sysinfo.children)
    .filter((child) => child.name === 'entry' && child.attributes.get('name') === RUN_MARK);
  const elements = (metadataOf(root)?.children ?? []).filter(
    (child) => /(?:^|:)run$/.test(child.name) && namespaceOf(child) === RUN_NAMESPACE,
  );
  return [...entries, ...elements].map(({ start, end }) => ({ start, end, text: '' }));
}

function namespaceOf(element: XmlElement): string | undefined {
  const prefix = element.name.includes(':') ? element.name.split(':')[0] : undefined;
  const key = prefix === undefined ? 'xmlns' : `xmlns:${prefix}`;
  for (let at: XmlElement | undefined = element; at !== undefined; at = at.parent) {
    const bound = at.attributes.get(key);
    if (bound !== undefined) return bound;
  }
  return undefined;
}

function insertInto(
  root: XmlElement,
  place: { in: XmlElement | undefined; open: string; name: string; text: string },
): Edit {
  const whole = `${place.open}${place.text}</${place.name}>`;
  if (place.in === undefined) return { start: root.closeStart, end: root.closeStart, text: whole };
  const { selfClosed, start, end, closeStart } = place.in;
  return selfClosed
    ? { start, end, text: whole }
    : { start: closeStart, end: closeStart, text: place.text };
}

function apply(text: string, edits: readonly Edit[]): string {
  return edits
    .toSorted((a, b) => b.start - a.start || b.end - a.end)
    .reduce((now, edit) => now.slice(0, edit.start) + edit.text + now.slice(edit.end), text);
}
