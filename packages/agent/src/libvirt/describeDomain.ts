import { DomainError, type DiskKind, type DiskRef } from '@fenceline/protocol';
import type { Element } from '@xmldom/xmldom';
import { childElements, everyElement, parseXml, textOf } from './xml.js';

const QEMU_NAMESPACE = 'http://libvirt.org/schemas/domain/qemu/1.0';

/** What the server needs to know of a definition. */
export interface DomainDescription {
  name: string;
  memoryMiB: number;
  cpus: number;
  /** Every disk and firmware store that qemu opens for writing, as qemu opens it. */
  disks: DiskRef[];
}

/**
 * Reads a definition.
 * @throws DomainError BAD_INPUT if it lacks what every domain has; REFUSED for a writable disk of
 * a kind that a fence could not prove drained, as then no proof would ever close a run.
 */
export function describeDomain(domainXml: string): DomainDescription {
  const { root } = parseXml(domainXml);
  refuseHiddenUring(root);
  return {
    name: textOf(only(root, 'name')),
    memoryMiB: memoryMiB(only(root, 'memory')),
    cpus: wholeNumber(only(root, 'vcpu')),
    disks: unique([...diskRefs(root), ...firmwareStores(root)]),
  };
}

function only(parent: Element, name: string): Element {
  const [found, ...more] = childElements(parent, name);
  if (found === undefined || more.length > 0)
    throw new DomainError('BAD_INPUT', `the definition needs exactly one <${name}>`);
  return found;
}

function wholeNumber(element: Element): number {
  const text = textOf(element);
  if (!/^[1-9]\d{0,15}$/.test(text))
    throw new DomainError('BAD_INPUT', `<${element.nodeName}> must be a whole number`);
  return Number(text);
}

/** Bytes of libvirt's units; without one it is KiB. */
const UNIT_BYTES: Record<string, number> = {
  b: 1,
  bytes: 1,
  KB: 1e3,
  k: 1_024,
  KiB: 1_024,
  MB: 1e6,
  M: 1_024 ** 2,
  MiB: 1_024 ** 2,
  GB: 1e9,
  G: 1_024 ** 3,
  GiB: 1_024 ** 3,
  TB: 1e12,
  T: 1_024 ** 4,
  TiB: 1_024 ** 4,
};

function memoryMiB(element: Element): number {
  const unit = element.getAttribute('unit') ?? 'KiB';
  const bytes = UNIT_BYTES[unit];
  if (bytes === undefined) throw new DomainError('BAD_INPUT', `<memory> has an unknown unit`);
  return Math.max(1, Math.ceil((wholeNumber(element) * bytes) / 1_024 ** 2));
}

function diskRefs(root: Element): DiskRef[] {
  const disks = childElements(root, 'devices').flatMap((devices) => childElements(devices, 'disk'));
  return disks.filter(isWritable).flatMap((disk) => {
    const [source] = childElements(disk, 'source');
    // A drive without a medium.
    if (source === undefined) return [];
    const ref = writableAt(disk.getAttribute('type') ?? 'file', source, 'disk');
    return [writesByUring(disk) ? byUring(ref) : ref];
  });
}

function writesByUring(disk: Element): boolean {
  const drivers = childElements(disk, 'driver');
  return drivers.some((driver) => driver.getAttribute('io') === 'io_uring');
}

/**
 * safety: F21a: what qemu gave to io_uring belongs to the kernel; no flush waits for it, so a fence
 * must know of it and never call such a disk drained.
 */
function byUring({ kind, source }: DiskRef): DiskRef {
  if (kind === 'file') return { kind: 'uring-file', source };
  return kind === 'block' ? { kind: 'uring-block', source } : { kind, source };
}

/** Arguments that libvirt hands on to qemu as they stand: which disk they mean can't be told. */
function refuseHiddenUring(root: Element): void {
  for (const element of everyElement(root)) {
    if (element.namespaceURI !== QEMU_NAMESPACE) continue;
    const values = [...element.attributes].map((attribute) => attribute.value);
    // safety: F21a: a disk that is written by io_uring and not marked would be taken for drained
    if (values.some((value) => /io_uring/i.test(value)))
      throw new DomainError(
        'REFUSED',
        "a VM can't be protected that asks qemu for io_uring past libvirt: write it as " +
          "<driver io='…'/> of its disk, best as io='native' or io='threads'",
      );
  }
}

function isWritable(disk: Element): boolean {
  const readOnly = childElements(disk, 'readonly').length > 0;
  return !readOnly && disk.getAttribute('device') !== 'cdrom';
}

function writableAt(type: string, source: Element, what: string): DiskRef {
  const [kind, text] = sourceOf(type, source);
  if (text === null || text === '')
    throw new DomainError(
      'REFUSED',
      `a writable ${what} of type ${type} can't be protected: it has no source that a fence can check`,
    );
  return { kind, source: text };
}

function sourceOf(type: string, source: Element): [DiskKind, string | null] {
  const name = source.getAttribute('name');
  switch (type) {
    case 'file':
      return ['file', source.getAttribute('file')];
    case 'block':
      return ['block', source.getAttribute('dev')];
    case 'network': {
      const protocol = source.getAttribute('protocol') ?? '';
      return protocol === 'rbd' ? ['rbd', name] : ['network', name && `${protocol}:${name}`];
    }
    default:
      return ['file', null];
  }
}

/** UEFI variables: qemu writes to them as to a disk. */
function firmwareStores(root: Element): DiskRef[] {
  return childElements(root, 'os').flatMap((os) => {
    const stores = childElements(os, 'nvram');
    // safety: F21a: libvirt would choose a file itself, which no fence drains and no hook guards
    if (stores.length === 0 && os.getAttribute('firmware') === 'efi' && !isStateless(os))
      throw noStore("firmware='efi' without <nvram>");
    return stores.map(firmwareStore);
  });
}

function isStateless(os: Element): boolean {
  return childElements(os, 'loader').some((loader) => loader.getAttribute('stateless') === 'yes');
}

/** A path as its text, or (libvirt 8.5) a type and a source as of a disk. */
function firmwareStore(nvram: Element): DiskRef {
  const [source] = childElements(nvram, 'source');
  if (source !== undefined)
    return writableAt(nvram.getAttribute('type') ?? 'file', source, 'UEFI variable store');
  const path = textOf(nvram);
  if (!path.startsWith('/')) throw noStore('an <nvram> without a path');
  return { kind: 'file', source: path };
}

function noStore(what: string): DomainError {
  return new DomainError(
    'REFUSED',
    `a VM with ${what} can't be protected: write down the file of its UEFI variables ` +
      '(virsh edit: <nvram>/path</nvram>)',
  );
}

function unique(disks: DiskRef[]): DiskRef[] {
  return [...new Map(disks.map((disk) => [`${disk.kind}:${disk.source}`, disk])).values()];
}
