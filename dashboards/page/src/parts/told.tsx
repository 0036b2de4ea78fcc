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

/** Says that what is shown could not be loaded anew. */
export function Stale({ error }: { error: Missing | null }) {
  if (error === null) return <></>;
  return (
    <div class="caution" role="alert">
      <p>
        <strong>{error.message}</strong> What you see is the last that was loaded. {error.fix !== null && <Sentence text={error.fix} />}
      </p>
    </div>
  );
}

export const Loading = ({ what }: { what: string }) => <p class="soft">Loading {what}.</p>;
