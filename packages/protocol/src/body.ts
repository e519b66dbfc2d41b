import { plainToInstance } from 'class-transformer';
import { validateSync, type ValidationError } from 'class-validator';
import { DomainError } from './errors.js';

/** A class whose instances cross the wire. */
export type BodyClass<T extends object> = new () => T;

/**
 * Turns parsed JSON into a validated instance. Unknown fields are dropped, so that a newer sender
 * can talk to an older receiver.
 * @throws DomainError BAD_INPUT naming each field and its rule, never a value (it may be secret).
 */
export function parseBody<T extends object>(type: BodyClass<T>, json: unknown): T {
  const { body, problems } = checkBody(type, json);
  if (problems.length > 0)
    throw new DomainError('BAD_INPUT', `invalid ${type.name}: ${problems.slice(0, 20).join('; ')}`);
  return body;
}

/**
 * The same for callers that show every problem: they must not use `body` if there is one.
 * @throws DomainError BAD_INPUT if `json` is no object at all, or one that can't be read.
 */
export function checkBody<T extends object>(
  type: BodyClass<T>,
  json: unknown,
): { body: T; problems: string[] } {
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw new DomainError('BAD_INPUT', `the body must be a JSON object (${type.name})`);
  const body = instantiate(type, json);
  return { body, problems: problemsOf(body) };
}

function instantiate<T extends object>(type: BodyClass<T>, json: object): T {
  try {
    return plainToInstance(type, json, { exposeDefaultValues: true, exposeUnsetFields: false });
  } catch {
    // A field named `constructor`, or nesting without end: hostile input, no defect of ours.
    throw new DomainError('BAD_INPUT', `the body can't be read as a ${type.name}`);
  }
}

/** Every broken rule of an instance as `field: rule`, nested fields with their path. */
export function problemsOf(instance: object): string[] {
  const errors = validateSync(instance, {
    whitelist: true,
    forbidUnknownValues: false,
    validationError: { target: false, value: false },
  });
  return errors.flatMap((error) => describe(error, ''));
}

function describe(error: ValidationError, path: string): string[] {
  const here = path === '' ? error.property : `${path}.${error.property}`;
  const own = Object.values(error.constraints ?? {}).map((rule) => `${here}: ${rule}`);
  const nested = (error.children ?? []).flatMap((child) => describe(child, here));
  return [...own, ...nested];
}

/** What every answer has in common: `success` must be present and true to count as success. */
export interface Answer {
  success: boolean;
}
