/** A promise and the hands that settle it. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (why: Error) => void;
}

export function deferred<T>(): Deferred<T> {
  const hands: { resolve?: (value: T) => void; reject?: (why: Error) => void } = {};
  const promise = new Promise<T>((resolve, reject) => {
    hands.resolve = resolve;
    hands.reject = reject;
  });
  return {
    promise,
    resolve: (value) => hands.resolve?.(value),
    reject: (why) => hands.reject?.(why),
  };
}
