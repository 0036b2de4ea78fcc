import { useEffect } from "preact/hooks";

export interface KeyBinding {
  /** As `KeyboardEvent.key` names it, such as "f" or "?"; one press, no modifier. */
  key: string;
  /** What it does, for the list that "?" opens. */
  label: string;
  run: () => void;
}

interface Group {
  title: string;
  bindings: readonly KeyBinding[];
  /** Keys of the page itself give way to those of a view. */
  base: boolean;
}

const groups = new Set<Group>();
const SWITCH = "nas-keys";
let listening = false;

/** Keys that are in force now, by group: those of the view first. */
export const keyGroups = (): readonly Group[] => [...groups].sort((first, second) => Number(first.base) - Number(second.base));

/** Keys of single letters can be switched off: they may collide with speech input. */
export function keysAllowed(): boolean {
  try {
    return localStorage.getItem(SWITCH) !== "off";
  } catch {
    return true;
  }
}

export function allowKeys(allowed: boolean): void {
  try {
    localStorage.setItem(SWITCH, allowed ? "on" : "off");
  } catch {
    // Without storage the keys stay on.
  }
}

/** Whether a press belongs to what has the focus: a field takes letters itself. */
export function typing(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || target.matches("input:not([type=checkbox]):not([type=radio]), select, textarea, dialog[open] *");
}

export function pressed(event: KeyboardEvent): KeyBinding | null {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || typing(event.target)) return null;
  if (event.key !== "?" && !keysAllowed()) return null;
  for (const group of keyGroups()) {
    const found = group.bindings.find((binding) => binding.key === event.key);
    if (found) return found;
  }
  return null;
}

function listen(event: KeyboardEvent): void {
  const found = pressed(event);
  if (!found) return;
  event.preventDefault();
  found.run();
}

/**
 * Keys of a part of the page while it is shown. "?" lists them under the title. Give the same list as
 * long as it means the same: from outside of the component or from `useMemo`.
 */
export function useKeys(title: string, bindings: readonly KeyBinding[], base = false): void {
  useEffect(() => {
    const group = { title, bindings, base };
    groups.add(group);
    if (!listening) addEventListener("keydown", listen);
    listening = true;
    return () => {
      groups.delete(group);
    };
  }, [title, bindings, base]);
}
