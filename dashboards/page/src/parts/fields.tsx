import { useId } from "preact/hooks";

/** A number as people type it: a comma is a point; null where there is none. */
export function typedNumber(text: string): number | null {
  const cleaned = text.trim().replace(",", ".");
  if (cleaned === "") return null;
  const found = Number(cleaned);
  return Number.isFinite(found) ? found : null;
}

interface FieldProperties<Value> {
  label: string;
  value: Value;
  onChange: (value: Value) => void;
}

export function TextField({ label, value, onChange, placeholder }: FieldProperties<string> & { placeholder?: string }) {
  const id = useId();
  return (
    <span class="field">
      <label for={id}>{label}</label>
      <input id={id} type="search" value={value} placeholder={placeholder} onInput={(event) => onChange(event.currentTarget.value)} />
    </span>
  );
}

/** The text stays as it is typed, so that "0." on the way to "0.5" is not lost. */
export function NumberField({ label, value, onChange, unit }: FieldProperties<string> & { unit?: string | null | undefined }) {
  const id = useId();
  const wrong = value.trim() !== "" && typedNumber(value) === null;
  return (
    <span class="field">
      <label for={id}>{label}</label>
      <input
        id={id}
        class="short"
        inputMode="decimal"
        autocomplete="off"
        value={value}
        aria-invalid={wrong}
        onInput={(event) => onChange(event.currentTarget.value)}
      />
      {unit && <span class="soft">{unit}</span>}
    </span>
  );
}

interface ChoiceProperties extends FieldProperties<string> {
  options: readonly { value: string; label: string }[];
}

export function ChoiceField({ label, value, onChange, options }: ChoiceProperties) {
  const id = useId();
  return (
    <span class="field">
      <label for={id}>{label}</label>
      <select id={id} value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.label}
          </option>
        ))}
      </select>
    </span>
  );
}

export function CheckField({ label, value, onChange }: FieldProperties<boolean>) {
  return (
    <label class="field">
      <input type="checkbox" checked={value} onChange={(event) => onChange(event.currentTarget.checked)} />
      {label}
    </label>
  );
}
