import type { ViewProperties } from "../page";
import { Nothing } from "../parts/told";

export function Front(_: ViewProperties) {
  return <Nothing title="Front" />;
}
