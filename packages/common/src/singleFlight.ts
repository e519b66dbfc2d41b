/** Calls with the same signature that overlap share one run and its result. */
export interface SingleFlight {
  /** Joins the run under `signature`, or starts it. */
  run<T>(signature: string, work: () => Promise<T>): Promise<T>;
}

export function makeSingleFlight(): SingleFlight {
  const flights = new Map<string, Promise<unknown>>();
  return {
    run<T>(signature: string, work: () => Promise<T>): Promise<T> {
      const joined = flights.get(signature);
      // A signature names one kind of work, so the shared result has the caller's type.
      if (joined !== undefined) return joined as Promise<T>;
      const flight = work().finally(() => flights.delete(signature));
      flights.set(signature, flight);
      return flight;
    },
  };
}
