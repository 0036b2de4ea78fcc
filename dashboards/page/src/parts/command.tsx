import { useRef, useState } from "preact/hooks";

/** A command to type, with a button that copies it. Where copying is forbidden it is selected instead. */
export function Command({ text, label }: { text: string; label?: string }) {
  const shown = useRef<HTMLElement>(null);
  const [told, setTold] = useState("");
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      setTold("copied");
    } catch {
      if (shown.current) getSelection()?.selectAllChildren(shown.current);
      setTold("selected: copy with your keyboard");
    }
    setTimeout(() => setTold(""), 2500);
  };
  return (
    <div class="command">
      {label && <span class="command-label">{label}</span>}
      <code ref={shown}>{text}</code>
      <button type="button" onClick={() => void copy()} aria-label={`Copy: ${label ?? text}`}>
        Copy
      </button>
      <span class="soft" role="status">
        {told}
      </span>
    </div>
  );
}
