import type { ComponentChildren } from "preact";
import type { Missing } from "../source";

/** Says in plain words why there is nothing, and the way out. */
export function Nothing({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <section class="nothing">
      <h2>{title}</h2>
      {children}
    </section>
  );
}

/** A sentence in which `commands` stand as code, or a sentence that is a command as a whole. */
export function Sentence({ text }: { text: string }) {
  if (/^nas [a-z]/.test(text)) return <code>{text}</code>;
  const parts = text.split(/(`[^`]+`)/);
  return <>{parts.map((part, place) => (place % 2 === 1 ? <code key={place}>{part.slice(1, -1)}</code> : part))}</>;
}

export function Problem({ error }: { error: Missing }) {
  return (
    <Nothing title={error.message}>
      {error.fix !== null && (
        <p>
          <Sentence text={error.fix} />
        </p>
      )}
    </Nothing>
  );
}

export const Loading = ({ what }: { what: string }) => <p class="soft">Loading {what}.</p>;
