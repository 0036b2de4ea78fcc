import { useEffect, useState } from "preact/hooks";

/** A number that grows every ten seconds while the page is seen: lists of runs have no events. */
export function useRefreshed(live: boolean): number {
  const [times, setTimes] = useState(0);
  useEffect(() => {
    if (!live) return;
    const timer = setInterval(() => {
      if (!document.hidden) setTimes((old) => old + 1);
    }, 10_000);
    return () => clearInterval(timer);
  }, [live]);
  return times;
}
