import { IsBoolean, IsString, MaxLength } from 'class-validator';
import { isErrorCode, isFacts, DomainError, type ErrorFacts } from './errors.js';
import { Optional, Part, rule } from './rules.js';

const Facts = () =>
  rule('isFacts', '$property must be a flat object of text, numbers and booleans', {
    holds: isFacts,
  });

/** An error as it travels. */
export class ErrorPart {
  @IsString() @MaxLength(64) code = 'INTERNAL';
  @IsString() @MaxLength(8_192) message = '';
  @Optional() @Facts() facts?: ErrorFacts;
}

/** The envelope of every answer: `success`, and if false, `error`. */
export class Rsp {
  @IsBoolean() success = false;
  @Optional() @Part(() => ErrorPart) error?: ErrorPart;
}

/** The answer as an instance of `type` with `success: true` and these fields. */
export function ok<T extends Rsp>(type: new () => T, fields: Omit<Partial<T>, 'success'>): T {
  return Object.assign(new type(), fields, { success: true });
}

/** An error of the wire as an error of this process. */
export function errorOf(part: ErrorPart | undefined, fallback: string): DomainError {
  if (part === undefined) return new DomainError('INTERNAL', fallback);
  const code = isErrorCode(part.code) ? part.code : 'INTERNAL';
  return new DomainError(code, part.message, part.facts ?? {});
}
