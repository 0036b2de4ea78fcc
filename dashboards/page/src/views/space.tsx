import type { ViewProperties } from "../page";
import { Nothing } from "../parts/told";

export function Space(_: ViewProperties) {
  return <Nothing title="Space" />;
}
