import type { ViewProperties } from "../page";
import { Nothing } from "../parts/told";

export function Supernet(_: ViewProperties) {
  return <Nothing title="Supernet" />;
}
