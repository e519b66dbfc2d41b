import { Type } from './nested.js';
import { IsBoolean, IsObject, IsString, MaxLength, ValidateNested } from 'class-validator';
import { isErrorCode, DomainError, type ErrorFacts } from './errors.js';
import { Optional } from './rules.js';

/** An error as it travels. */
export class ErrorPart {
  @IsString() @MaxLength(64) code = 'INTERNAL';
  @IsString() @MaxLength(8_192) message = '';
  @Optional() @IsObject() facts?: ErrorFacts;
}

/** The envelope of every answer: `success`, and if false, `error`. */
export class Rsp {
  @IsBoolean() success = false;
  @Optional() @ValidateNested() @Type(() => ErrorPart) error?: ErrorPart;
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
