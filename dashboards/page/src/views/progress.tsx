import type { ViewProperties } from "../page";
import { Nothing } from "../parts/told";

export function Progress(_: ViewProperties) {
  return <Nothing title="Progress" />;
}
