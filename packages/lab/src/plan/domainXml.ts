import { LabError } from '../labError.js';

export type Acceleration = 'tcg' | 'kvm';

export interface DomainOptions {
  readonly name: string;
  readonly uuid: string;
  /** Path of the raw image as the host sees it, e.g. /srv/shared/web1.img. */
  readonly disk: string;
  /** Default `tcg`. */
  readonly acceleration?: Acceleration;
  /** Default 16; the guest needs less than 1. */
  readonly memoryMib?: number;
}

/** The place holders of guest/domain.xml, e.g. `{{name}}`. */
const placeHolder = /\{\{(\w+)\}\}/g;

/**
 * A libvirt domain for the lab's guest, from the text of guest/domain.xml: virtio disk, raw,
 * cache=none, io=threads; serial line into a file. No metadata and no sysinfo: who starts the VM
 * adds its own.
 * @throws LabError if the template names a value that does not exist.
 */
export function domainXml(template: string, options: DomainOptions): string {
  const kvm = options.acceleration === 'kvm';
  const values: Record<string, string> = {
    name: options.name,
    uuid: options.uuid,
    disk: options.disk,
    memoryMib: String(options.memoryMib ?? 16),
    type: kvm ? 'kvm' : 'qemu',
    cpu: kvm ? '<cpu mode="host-passthrough"/>' : '<cpu><model>qemu64</model></cpu>',
  };
  return template.replace(placeHolder, (_, key: string) => {
    const value = values[key];
    if (value === undefined) throw new LabError(`guest/domain.xml names an unknown value ${key}.`);
    return key === 'cpu' ? value : escapeXml(value);
  });
}

function escapeXml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&apos;');
}
