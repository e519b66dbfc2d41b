import type { Route, StreamRoute } from '@fenceline/protocol';

type AnyRoute = Route<object, object> | StreamRoute<object, object>;

export interface Routed<Value> {
  route: AnyRoute;
  value: Value;
  /** The `:param` parts of the path, decoded. */
  params: Record<string, string>;
}

/** Finds the route of a method and path; a fixed part wins over a `:param` part. */
export function makeRouter<Value>(
  entries: readonly { route: AnyRoute; value: Value }[],
): (method: string, path: string) => Routed<Value> | undefined {
  const compiled = entries
    .map(({ route, value }) => ({ route, value, parts: route.path.split('/') }))
    .sort((a, b) => generality(a.parts).localeCompare(generality(b.parts)));
  return (method, path) => {
    const asked = path.split('/');
    for (const { route, value, parts } of compiled) {
      if (route.method !== method) continue;
      const params = match(parts, asked);
      if (params !== undefined) return { route, value, params };
    }
    return undefined;
  };
}

/** Sorts routes so that at the first part in which two differ in kind, the fixed one is first. */
function generality(parts: readonly string[]): string {
  return parts.map((part) => (part.startsWith(':') ? '1' : '0')).join('');
}

function match(
  parts: readonly string[],
  asked: readonly string[],
): Record<string, string> | undefined {
  if (parts.length !== asked.length) return undefined;
  const params: Record<string, string> = {};
  for (const [i, part] of parts.entries()) {
    const given = asked[i] ?? '';
    if (!part.startsWith(':')) {
      if (part !== given) return undefined;
      continue;
    }
    const decoded = decodePart(given);
    if (decoded === undefined || decoded === '') return undefined;
    params[part.slice(1)] = decoded;
  }
  return params;
}

function decodePart(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}
