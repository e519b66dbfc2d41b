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
  if (problems.length > 0) throw new DomainError('BAD_INPUT', problems.slice(0, 20).join('; '));
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
    throw new DomainError('BAD_INPUT', 'the body must be a JSON object');
  const body = instantiate(type, json);
  return { body, problems: problemsOf(body) };
}

function instantiate<T extends object>(type: BodyClass<T>, json: object): T {
  try {
    return plainToInstance(type, json, { exposeDefaultValues: true, exposeUnsetFields: false });
  } catch {
    // A field named `constructor`, or nesting without end: hostile input, no defect of ours.
    throw new DomainError('BAD_INPUT', "the body can't be read");
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
  const own = sentences(error).map((rule) => `${here}: ${rule}`);
  const nested = (error.children ?? []).flatMap((child) => describe(child, here));
  return [...own, ...nested];
}

/** What is no number at all breaks each bound, and each would tell its own half of the range. */
function sentences({ property, constraints = {} }: ValidationError): string[] {
  const { isInt, isArray, min, max, ...rest } = constraints;
  if (isArray !== undefined) return [`${property} must be a list`];
  if (isInt === undefined) return Object.values(constraints);
  const [from, to] = [boundOf(min), boundOf(max)];
  const range = `${from === undefined ? '' : ` from ${from}`}${to === undefined ? '' : ` to ${to}`}`;
  const each = isInt.startsWith('each value in ') ? 'each value in ' : '';
  return [`${each}${property} must be a whole number${range}`, ...Object.values(rest)];
}

/** The number at the end of the rule's own message. */
function boundOf(message: string | undefined): string | undefined {
  return message === undefined ? undefined : /\S+$/.exec(message)?.[0];
}

/** What every answer has in common: `success` must be present and true to count as success. */
export interface Answer {
  success: boolean;
}
