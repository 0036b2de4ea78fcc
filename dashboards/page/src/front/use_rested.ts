import { useEffect, useRef, useState } from "preact/hooks";

/** Follows a value, but changes at most once in so many milliseconds; the last value always arrives. */
export function useRested<Value>(value: Value, milliseconds: number): Value {
  const [rested, setRested] = useState(value);
  const changed = useRef(0);
  useEffect(() => {
    if (Object.is(value, rested)) return;
    const timer = setTimeout(
      () => {
        changed.current = performance.now();
        setRested(value);
      },
      Math.max(0, changed.current + milliseconds - performance.now()),
    );
    return () => clearTimeout(timer);
  }, [value, rested, milliseconds]);
  return rested;
}
