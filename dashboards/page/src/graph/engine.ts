import ELK, { type ElkNode, type ELK as Elk } from "elkjs/lib/elk-api.js";
import type { ArchitectureDocument } from "../documents";
import { elkWorkerAddress } from "../source";
import { fromElk, type Layout, toElk } from "./elk_graph";
import type { Direction } from "./marks";
import type { Shown } from "./visible";

const KEPT = 40;
const LONGEST_KEPT = 300_000;
const remembered = new Map<string, Layout>();

let address: Promise<string> | null = null;
let elk: Promise<Elk> | null = null;
let worker: Worker | null = null;
let failed: ((error: Error) => void) | null = null;
let busy = 0;

async function startElk(): Promise<Elk> {
  address ??= elkWorkerAddress();
  const script = await address;
  return new ELK({
    algorithms: ["layered"],
    workerFactory: () => {
      worker = new Worker(script);
      // ELK's promises would wait for ever for a worker that could not start.
      worker.onerror = () => failed?.(new Error("The worker that lays out drawings could not start."));
      return worker;
    },
  });
}

/** Ends a layout that nobody waits for any more; the next one starts a worker anew. */
function abandon(): void {
  worker?.terminate();
  worker = null;
  elk = null;
  busy = 0;
}

/**
 * Lays a drawing out in a worker. What was laid out once is remembered by architecture, names,
 * folded groups and direction, in memory and, where the browser allows it, for the session.
 */
export async function layOut(document: ArchitectureDocument, drawn: Shown, direction: Direction): Promise<Layout> {
  const key = layoutKey(document, drawn, direction);
  const known = recall(key);
  if (known) return known;
  if (busy > 0) abandon();
  busy += 1;
  elk ??= startElk();
  const mine = elk;
  try {
    const laidOut = await Promise.race([mine.then((each) => each.layout(toElk(drawn, direction) as ElkNode)), failure()]);
    const layout = fromElk(laidOut);
    keep(key, layout);
    return layout;
  } finally {
    if (mine === elk) busy = Math.max(0, busy - 1);
  }
}

const failure = (): Promise<never> =>
  new Promise((_, reject) => {
    failed = (error) => {
      abandon();
      reject(error);
    };
  });

function layoutKey(document: ArchitectureDocument, drawn: Shown, direction: Direction): string {
  // Two runs may name the nodes of one architecture differently; lines carry both ends in order.
  const text = [...drawn.boxes.keys(), ...drawn.open.map((folder) => folder.id), ...drawn.lines.map((line) => line.id + line.source + line.target)];
  return `${document.id} ${direction} ${drawn.boxes.size} ${hash(text.join("\n"))}`;
}

/** FNV-1a: a short name for a long text, no safeguard against anyone. */
function hash(text: string): string {
  let state = 0x811c9dc5;
  for (let place = 0; place < text.length; place += 1) state = Math.imul(state ^ text.charCodeAt(place), 0x01000193);
  return (state >>> 0).toString(36);
}

function recall(key: string): Layout | null {
  const known = remembered.get(key);
  if (known) return known;
  try {
    const text = sessionStorage.getItem(`nas-layout ${key}`);
    return text === null ? null : (JSON.parse(text) as Layout);
  } catch {
    return null; // a browser may forbid storage, as some do for files
  }
}

function keep(key: string, layout: Layout): void {
  remembered.set(key, layout);
  const oldest = remembered.keys().next().value;
  if (remembered.size > KEPT && oldest !== undefined) remembered.delete(oldest);
  try {
    const text = JSON.stringify(layout);
    if (text.length < LONGEST_KEPT) sessionStorage.setItem(`nas-layout ${key}`, text);
  } catch {
    // Full or forbidden: the memory of the page is enough.
  }
}
