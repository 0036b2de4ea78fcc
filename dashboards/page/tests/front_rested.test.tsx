// @vitest-environment jsdom
import { render } from "preact";
import { act } from "preact/test-utils";
import { expect, test, vi } from "vitest";
import { useRested } from "../src/front/use_rested";

test("a value that changes often is followed now and then, and its last state always arrives", () => {
  vi.useFakeTimers();
  const place = document.createElement("div");
  const seen: number[] = [];
  function Follower({ value }: { value: number }) {
    const rested = useRested(value, 1000);
    if (seen.at(-1) !== rested) seen.push(rested);
    return null;
  }
  const show = (value: number): void => act(() => render(<Follower value={value} />, place)) as unknown as void;
  const wait = (milliseconds: number): void => act(() => void vi.advanceTimersByTime(milliseconds)) as unknown as void;
  wait(2000);
  show(0);
  for (let value = 1; value <= 20; value += 1) {
    show(value);
    wait(100);
  }
  wait(2000);
  expect(seen.at(-1)).toBe(20);
  expect(seen.length).toBeLessThan(6);
  act(() => render(null, place));
  vi.useRealTimers();
});
