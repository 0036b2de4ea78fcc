import { useEffect, useRef, useState } from "preact/hooks";
import { CheckField } from "./fields";
import { allowKeys, keyGroups, keysAllowed } from "./keys";

interface HelpProperties {
  open: boolean;
  onClose: () => void;
}

/** Lists the keys that are in force on the present view. */
export function KeyHelp({ open, onClose }: HelpProperties) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [allowed, setAllowed] = useState(keysAllowed);
  useEffect(() => {
    if (open) dialog.current?.showModal();
    else dialog.current?.close();
  }, [open]);
  const allow = (value: boolean): void => {
    allowKeys(value);
    setAllowed(value);
  };
  return (
    <dialog ref={dialog} class="keys" aria-labelledby="keys-title" onClose={onClose}>
      <div class="panel-head">
        <h2 id="keys-title">Keys</h2>
        <button type="button" onClick={onClose}>
          Close
        </button>
      </div>
      {open &&
        keyGroups().map((group) => (
          <section key={group.title}>
            <h3>{group.title}</h3>
            <dl>
              {group.bindings.map((binding) => (
                <div key={binding.key}>
                  <dt>
                    <kbd>{binding.key}</kbd>
                  </dt>
                  <dd>{binding.label}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      <h3>Everywhere</h3>
      <p class="soft">
        <kbd>Tab</kbd> goes through all controls. In a table whose rows can be chosen, <kbd>↑</kbd> <kbd>↓</kbd> <kbd>Home</kbd>{" "}
        <kbd>End</kbd> move and <kbd>Enter</kbd> opens. A click on a column's title sorts.
      </p>
      <CheckField label="Keys of single letters are on" value={allowed} onChange={allow} />
    </dialog>
  );
}
