import type { ViewProperties } from "../page";
import { Nothing } from "../parts/told";

export function Trial(_: ViewProperties) {
  return <Nothing title="Trial" />;
}
