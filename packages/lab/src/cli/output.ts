import type { DiskCheck } from '../disk/checkDisk.js';
import type { LabStatus, NodeStatus } from '../requests.js';

export function print(line: string): void {
  process.stdout.write(line.endsWith('\n') ? line : `${line}\n`);
}

export function printStatus(status: LabStatus, json: boolean): void {
  if (json) {
    print(JSON.stringify(status, null, 2));
    return;
  }
  print(
    `lab ${status.dir}: VMs by ${status.acceleration}, image locks ${status.locks ? 'on' : 'off'}`,
  );
  if (status.powerDevice.mode !== 'ok') print(`power device: ${status.powerDevice.mode}`);
  for (const node of status.nodes) print(nodeLine(node));
}

function nodeLine(node: NodeStatus): string {
  const services = node.services.map(
    (service) => `${service.name}${service.pid === undefined ? ' (dead)' : ''}`,
  );
  const facts = [node.power, node.address, services.join(' '), node.faults.join(', ')];
  return `${node.name.padEnd(4)} ${facts.filter(Boolean).join('  ')}`;
}

export function printCheck(check: DiskCheck, json: boolean): void {
  if (json) {
    print(JSON.stringify(check, null, 2));
    return;
  }
  const words = { oneWriter: 'one writer', twoWriters: 'TWO WRITERS', noData: 'no data' };
  print(`${words[check.verdict]}: ${check.counter} steps, ${check.boots} boots`);
  for (const writer of check.writers.slice(-8)) {
    print(`  ${writer.id} wrote steps ${writer.firstCounter} to ${writer.lastCounter}`);
  }
  for (const reason of check.reasons) print(`  ${reason}`);
}
