import { dashed, DomainError, isUuid } from '@fenceline/protocol';
import type { Document, Element } from '@xmldom/xmldom';
import { childElements, elementsBelow, everyElement, parseXml, textOf, writeXml } from './xml.js';

/** Name of the fw_cfg file that carries a run's epoch in qemu's arguments (F35). */
export const RUN_MARK = 'opt/org.fenceline/run';
/** Namespace of the run's element in a domain's metadata. */
export const RUN_NAMESPACE = 'https://fenceline.org/xmlns/run/1';

const XMLNS = 'http://www.w3.org/2000/xmlns/';

/**
 * A definition with the mark of one run: metadata element and fw_cfg entry with the epoch (F35).
 * Marks of earlier runs are taken out; nothing else changes.
 * @throws DomainError BAD_INPUT for XML that is not this VM's domain; REFUSED for a definition that
 * would let two qemus write to one image (F40).
 */
export function markRun(domainXml: string, run: { vmUuid: string; epoch: number }): string {
  const { document, root } = domainOf(domainXml, run.vmUuid);
  refuseSharedWriting(root);
  removeMarks(root);
  const mark = document.createElementNS(RUN_NAMESPACE, 'fenceline:run');
  mark.setAttributeNS(XMLNS, 'xmlns:fenceline', RUN_NAMESPACE);
  mark.setAttribute('epoch', String(run.epoch));
  childOf(document, root, 'metadata').appendChild(mark);
  const entry = document.createElement('entry');
  entry.setAttribute('name', RUN_MARK);
  entry.appendChild(document.createTextNode(String(run.epoch)));
  fwCfg(document, root).appendChild(entry);
  return writeXml(root);
}

/** A definition without the mark of any run, as the server stores it. @throws as markRun. */
export function unmarkRun(domainXml: string, vmUuid: string): string {
  const { root } = domainOf(domainXml, vmUuid);
  removeMarks(root);
  return writeXml(root);
}

/** Name of the domain. @throws DomainError BAD_INPUT. */
export function domainName(domainXml: string): string {
  const [name] = childElements(parseXml(domainXml).root, 'name');
  if (name === undefined) throw new DomainError('BAD_INPUT', 'domainXml: <name> is missing');
  return textOf(name);
}

function domainOf(text: string, vmUuid: string): { document: Document; root: Element } {
  const { document, root } = parseXml(text);
  if (root.nodeName !== 'domain') throw new DomainError('BAD_INPUT', 'domainXml: not a <domain>');
  const [uuid, ...more] = childElements(root, 'uuid');
  const value = uuid === undefined ? '' : textOf(uuid);
  if (more.length > 0 || !isUuid(value) || dashed(value) !== dashed(vmUuid))
    throw new DomainError('BAD_INPUT', 'domainXml: its <uuid> is not that of the VM', {
      vmUuid: dashed(vmUuid),
    });
  if (childElements(root, 'name').length !== 1)
    throw new DomainError('BAD_INPUT', 'domainXml: exactly one <name> is needed');
  return { document, root };
}

// safety: these two take away the image lock, the last thing between two qemus and one disk (F40).
function refuseSharedWriting(root: Element): void {
  for (const element of everyElement(root)) {
    if (element.localName === 'shareable')
      throw new DomainError('REFUSED', 'domainXml: a protected VM may not have <shareable/> disks');
    const values = [...element.attributes].map((attribute) => attribute.value);
    if (values.some((value) => /locking["'\s]*[=:]["'\s]*off/i.test(value)))
      throw new DomainError(
        'REFUSED',
        'domainXml: a protected VM may not switch image locking off',
      );
  }
}

/** The first child of that name; made at the end if there is none. */
function childOf(document: Document, root: Element, name: string): Element {
  const [found] = childElements(root, name);
  return found ?? append(root, document.createElement(name));
}

function fwCfgs(root: Element): Element[] {
  return childElements(root, 'sysinfo').filter(
    (sysinfo) => sysinfo.getAttribute('type') === 'fwcfg',
  );
}

function fwCfg(document: Document, root: Element): Element {
  const [found] = fwCfgs(root);
  if (found !== undefined) return found;
  const made = document.createElement('sysinfo');
  made.setAttribute('type', 'fwcfg');
  return append(root, made);
}

function append(parent: Element, made: Element): Element {
  parent.appendChild(made);
  return made;
}

/** Takes out every mark, and what is empty without it. */
function removeMarks(root: Element): void {
  const entries = fwCfgs(root)
    .flatMap((sysinfo) => childElements(sysinfo, 'entry'))
    .filter((entry) => entry.getAttribute('name') === RUN_MARK);
  const elements = childElements(root, 'metadata')
    .flatMap(elementsBelow)
    .filter((element) => element.localName === 'run' && element.namespaceURI === RUN_NAMESPACE);
  for (const mark of [...entries, ...elements]) {
    const parent = mark.parentNode as Element;
    parent.removeChild(mark);
    if (elementsBelow(parent).length === 0) root.removeChild(parent);
  }
}
