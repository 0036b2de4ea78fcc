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

export function Problem({ error }: { error: Missing }) {
  return (
    <Nothing title={error.message}>{error.fix !== null && <p>{error.fix}</p>}</Nothing>
  );
}

export const Loading = ({ what }: { what: string }) => <p class="soft">Loading {what}.</p>;
