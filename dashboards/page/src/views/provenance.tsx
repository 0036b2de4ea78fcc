import type { ViewProperties } from "../page";
import { Nothing } from "../parts/told";

export function Provenance(_: ViewProperties) {
  return <Nothing title="Provenance" />;
}
