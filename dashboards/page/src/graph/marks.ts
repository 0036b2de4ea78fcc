import type { ArchitectureNode } from "../documents";
import { number } from "../parts/numbers";
import type { Box } from "./visible";

export type Direction = "down" | "across";

const PORT_STEP = 10;
const BOX = { width: 136, height: 38 };
const FOLD = { width: 150, height: 44 };
const JOIN = { width: 30, height: 24 };
const WIDE_JOIN = { width: 46, height: 24 };

/** Whether a node does nothing but merge: drawn as a small sign. */
export const isJoin = (box: Box): boolean => box.node !== null && box.node.kind === "join" && box.node.operation === "identity";

/** Width and height that hold the text and give every edge a port of its own. */
export function boxSize(box: Box, inputs: number, outputs: number, direction: Direction): { width: number; height: number } {
  const usual = box.folder ? FOLD : isJoin(box) ? (box.node?.exit ? WIDE_JOIN : JOIN) : BOX;
  const ports = (Math.max(inputs, outputs) + 1) * PORT_STEP;
  return direction === "down"
    ? { width: Math.max(usual.width, ports), height: usual.height }
    : { width: usual.width, height: Math.max(usual.height, ports) };
}

const SIGNS: Record<string, string> = { sum: "+", mean: "x̄", concat: "‖", stack: "‖", weighted: "Σ", multiply: "×" };

export const mergeSign = (merge: string | null): string => (merge === null ? "" : (SIGNS[merge] ?? merge.slice(0, 1)));

export type Family = "conv" | "separable" | "mbconv" | "pool" | "cell" | "other";

/** What colours a node when it is not tinted by a number. */
export function familyOf(node: ArchitectureNode): Family {
  const name = node.operation;
  if (name === "cell") return "cell";
  if (name.includes("separable")) return "separable";
  if (name.includes("mbconv")) return "mbconv";
  if (name.includes("pool")) return "pool";
  return name.includes("conv") ? "conv" : "other";
}

export const FAMILIES: Family[] = ["conv", "separable", "mbconv", "pool", "cell", "other"];

/** First line of a box. */
export const boxTitle = (box: Box): string => box.folder?.label ?? box.node?.label ?? box.id;

/** Signs of a node with a head of its own, and of one that shares its weights. */
export const EXIT = "⇥";
export const TIED = "≡";

/** What stands in a node that does nothing but merge. */
export const joinSigns = (box: Box): string => `${mergeSign(box.node?.merge ?? null) || "="}${box.node?.exit ? EXIT : ""}`;

/** How many nodes a group has, in words. */
export const sizeWords = (size: number): string => (size === 1 ? "1 node" : `${size} nodes`);

/** Second line of a box. */
export function boxText(box: Box): string {
  if (box.folder) return sizeWords(box.folder.size);
  const node = box.node;
  if (!node) return "";
  if (node.kind === "input") return node.shape ? node.shape.join("×") : "input";
  const parts = [...(node.exit ? [EXIT] : []), ...(node.tie ? [TIED] : []), node.operation === "identity" ? (node.merge ?? "identity") : node.operation];
  if (node.width !== null) parts.push(String(node.width));
  if (node.stride > 1) parts.push(`/${node.stride}`);
  return parts.join(" ");
}

export function boxSentence(box: Box, outputs: number): string {
  const name = box.folder ? `${box.folder.label}, folded, ${sizeWords(box.folder.size)}` : `${box.node?.id ?? box.id}, ${boxText(box)}`;
  const shape = box.node?.shape ? `, ${box.node.shape.join(" by ")}` : "";
  const cost = box.parameters > 0 ? `, ${number(box.parameters)} parameters` : "";
  const latency = box.latency_ms !== null ? `, ${number(box.latency_ms, 3)} ms` : "";
  const merge = box.inputs > 1 && box.node?.merge ? ` merged by ${box.node.merge}` : "";
  return `${name}${shape}${cost}${latency}; ${box.inputs} in${merge}, ${outputs} out${box.node?.exit ? "; early exit" : ""}`;
}

/** Cuts at the end, with a mark, what is longer than fits. */
export const cut = (text: string, letters: number): string => (text.length > letters ? `${text.slice(0, Math.max(1, letters - 1))}…` : text);
