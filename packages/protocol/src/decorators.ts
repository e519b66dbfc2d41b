/** A class-validator rule for one property. */
export type PropertyRule = (target: object, property: string | symbol) => void;

/** Several property rules as one. */
export function applyDecorators(...rules: PropertyDecorator[]): PropertyRule {
  return (target, property) => {
    for (const rule of rules) rule(target, property);
  };
}
