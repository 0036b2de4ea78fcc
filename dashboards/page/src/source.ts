import type { Increment } from "./documents";

/** Where documents come from: the server, or a report that carries them all. */
export interface Source {
  /** Whether a server answers: downloads and live views exist only then. */
  readonly live: boolean;
  /** The run that a report is about; null where there may be many. */
  readonly about: string | null;
  get<T>(path: string): Promise<T>;
  /** Calls back with every increment; returns how to stop. Does nothing in a report. */
  follow(run: string, after: number, onIncrement: (increment: Increment) => void, onState: (connected: boolean) => void): () => void;
}

export class Missing extends Error {
  constructor(
    message: string,
    readonly fix: string | null,
    readonly status: number,
  ) {
    super(message);
  }
}

export const runPath = (run: string, rest = ""): string => `/api/runs/${encodeURIComponent(run)}${rest}`;

class Server implements Source {
  readonly live = true;
  readonly about = null;
  private readonly known = new Map<string, { tag: string; document: unknown }>();

  async get<T>(path: string): Promise<T> {
    const known = this.known.get(path);
    const headers: Record<string, string> = known ? { "If-None-Match": known.tag } : {};
    let response: Response;
    try {
      response = await fetch(path, { headers, credentials: "same-origin" });
    } catch {
      throw new Missing("The server does not answer.", "Start it again: nas dash", 0);
    }
    if (response.status === 304 && known) return known.document as T;
    const body: unknown = await response.json().catch(() => null);
    if (!response.ok) {
      const told = (body ?? {}) as { error?: string; fix?: string };
      throw new Missing(told.error ?? `The server answered ${response.status}.`, told.fix ?? null, response.status);
    }
    const tag = response.headers.get("ETag");
    // What changed since a record is asked for once and never again.
    if (tag && !path.includes("after=")) this.known.set(path, { tag, document: body });
    return body as T;
  }

  follow(run: string, after: number, onIncrement: (increment: Increment) => void, onState: (connected: boolean) => void): () => void {
    const events = new EventSource(runPath(run, `/events?after=${after}`));
    events.addEventListener("increment", (event) => onIncrement(JSON.parse((event as MessageEvent<string>).data) as Increment));
    events.addEventListener("end", () => events.close());
    events.onopen = () => onState(true);
    events.onerror = () => onState(false);
    return () => events.close();
  }
}

class Report implements Source {
  readonly live = false;
  readonly about: string | null;

  constructor(private readonly documents: Record<string, unknown>) {
    const runs = Object.keys(documents).filter((path) => /^\/api\/runs\/[^/]+$/.test(path));
    const only = runs.length === 1 ? runs[0] : undefined;
    this.about = only === undefined ? null : decodeURIComponent(only.slice("/api/runs/".length));
  }

  get<T>(path: string): Promise<T> {
    if (path in this.documents) return Promise.resolve(this.documents[path] as T);
    return Promise.reject(new Missing("The report does not carry this.", "nas dash shows the whole run.", 404));
  }

  follow(): () => void {
    return () => undefined;
  }
}

/** Text of a `<script type="text/plain">` that holds gzip in base64: a report stays small. */
export async function unpack(element: HTMLElement): Promise<string> {
  const letters = atob((element.textContent ?? "").trim());
  const bytes = new Uint8Array(letters.length);
  for (let place = 0; place < letters.length; place += 1) bytes[place] = letters.charCodeAt(place);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

export async function openSource(): Promise<Source> {
  const carried = document.getElementById("report-documents");
  if (!carried) return new Server();
  return new Report(JSON.parse(await unpack(carried)) as Record<string, unknown>);
}

/** Address of ELK's worker: a file of the server, or the report's own copy as a blob. */
export async function elkWorkerAddress(): Promise<string> {
  const carried = document.getElementById("report-elk-worker");
  if (!carried) return "elk-worker.js";
  return URL.createObjectURL(new Blob([await unpack(carried)], { type: "text/javascript" }));
}
