import type { ViewProperties } from "../page";
import { Nothing } from "../parts/told";

export function Failures(_: ViewProperties) {
  return <Nothing title="Failures" />;
}
