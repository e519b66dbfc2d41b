/** Calls with the same signature that overlap share one run and its result. */
export interface SingleFlight {
  /**
   * Joins the run under `signature`, or starts it. When it has settled, the next call runs anew.
   * It may overlap with runs of other signatures: what must not needs a queue as well (C5).
   */
  run<T>(signature: string, work: () => Promise<T>): Promise<T>;
}

export function makeSingleFlight(): SingleFlight {
  const flights = new Map<string, Promise<unknown>>();
  return {
    run<T>(signature: string, work: () => Promise<T>): Promise<T> {
      const joined = flights.get(signature);
      // A signature names one kind of work, so the shared result has the caller's type.
      if (joined !== undefined) return joined as Promise<T>;
      // An async wrapper: a work that throws at once fails like any other, for all who joined.
      const flight = (async () => work())().finally(() => flights.delete(signature));
      flights.set(signature, flight);
      return flight;
    },
  };
}
