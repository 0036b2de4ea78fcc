import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

interface PanelProperties {
  title: string;
  /** One or two sentences on what is seen and how far to believe it. */
  note?: ComponentChildren;
  /** Controls beside the title. */
  aside?: ComponentChildren;
  children: ComponentChildren;
  class?: string;
}

/** A part of a view under a heading of its own. */
export function Panel({ title, note, aside, children, class: extra }: PanelProperties) {
  const id = useId();
  return (
    <section class={extra ? `panel ${extra}` : "panel"} aria-labelledby={id}>
      <div class="panel-head">
        <h2 id={id}>{title}</h2>
        {aside}
      </div>
      {note && <p class="note">{note}</p>}
      {children}
    </section>
  );
}

/** Pairs of a name and a value, side by side where there is room. */
export function Facts({ facts }: { facts: readonly (readonly [string, ComponentChildren])[] }) {
  return (
    <dl class="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** A number that is read first, with what it counts below it. */
export function Figure({ value, label, note }: { value: ComponentChildren; label: string; note?: ComponentChildren }) {
  return (
    <div class="figure">
      <span class="figure-value">{value}</span>
      <span class="figure-label">{label}</span>
      {note && <span class="figure-note">{note}</span>}
    </div>
  );
}

export type Tone = "plain" | "good" | "active" | "warning";

/** A state in a word; the sign before it tells the tone without colour. */
export function Badge({ tone, children, title }: { tone: Tone; children: ComponentChildren; title?: string | undefined }) {
  return (
    <span class={`badge ${tone}`} title={title}>
      <span aria-hidden="true">{{ plain: "○", good: "✓", active: "▸", warning: "!" }[tone]}</span> {children}
    </span>
  );
}
