// @vitest-environment jsdom
import { render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { allowKeys, type KeyBinding, keyGroups, useKeys } from "../src/parts/keys";

const done: string[] = [];
const key = (name: string, label: string): KeyBinding => ({ key: name, label, run: () => done.push(label) });
const PAGE = [key("f", "page"), key("?", "help")];
const VIEW = [key("f", "view")];

function Page({ view }: { view: boolean }) {
  useKeys("Page", PAGE, true);
  return (
    <>
      <input id="field" />
      {view && <View />}
    </>
  );
}

function View() {
  useKeys("View", VIEW);
  return <p />;
}

const press = (name: string, target: EventTarget = document.body, parts: KeyboardEventInit = {}): void => {
  target.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true, ...parts }));
};
const show = (view: boolean): void => act(() => render(<Page view={view} />, document.body)) as unknown as void;

beforeEach(() => {
  done.length = 0;
  localStorage.clear();
});
afterEach(() => {
  act(() => render(null, document.body));
});

describe("keys", () => {
  test("do what the view says, and the page's again once it is gone", () => {
    show(true);
    press("f");
    show(false);
    press("f");
    expect(done).toEqual(["view", "page"]);
    expect(keyGroups().map((group) => group.title)).toEqual(["Page"]);
  });

  test("are left to fields and to the browser's own combinations", () => {
    show(false);
    press("f", document.getElementById("field") as HTMLElement);
    press("f", document.body, { ctrlKey: true });
    expect(done).toEqual([]);
  });

  test("can be switched off, but for the list of keys", () => {
    show(false);
    allowKeys(false);
    press("f");
    press("?");
    allowKeys(true);
    press("f");
    expect(done).toEqual(["help", "page"]);
  });
});
