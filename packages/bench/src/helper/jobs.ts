/** What a helper in a node of the lab can be asked to do. It measures there, without our way to it. */
export type Job =
  /** One call of an agent's route, over a standing connection or as the server's gateway does it. */
  | {
      readonly do: 'call';
      readonly baseUrl: string;
      readonly tls: TlsFilePaths;
      readonly method: string;
      readonly path: string;
      readonly fields: object;
      readonly connection: 'standing' | 'new';
    }
  /** A program, from its start to its end. */
  | { readonly do: 'run'; readonly command: readonly string[] }
  /** SIGKILL to a process until the kernel has no trace of it. */
  | { readonly do: 'kill'; readonly pid: number }
  /** An SSH login by itself, from the first packet to the moment at which a channel could be asked for. */
  | {
      readonly do: 'login';
      readonly host: string;
      readonly keyFile: string;
      readonly hostKey: string;
      readonly noDelay: boolean;
    }
  /** Memory of the process one of whose arguments ends so; and its peak is counted anew. */
  | { readonly do: 'memory'; readonly argument: string };

export interface TlsFilePaths {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** What came of it; `ms` is what was measured. */
export interface Done {
  readonly ms: number;
  /** `call`: status and body. */
  readonly status?: number;
  readonly body?: unknown;
  /** `run` */
  readonly code?: number;
  readonly output?: string;
  /** `memory` */
  readonly rssKiB?: number;
  readonly peakKiB?: number;
}

export interface Request {
  readonly id: number;
  readonly job: Job;
}

export type Reply =
  { readonly id: number; readonly done: Done } | { readonly id: number; readonly error: string };
