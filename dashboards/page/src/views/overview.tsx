import { Nothing } from "../parts/told";

export function Overview(_: { parameters: URLSearchParams }) {
  return <Nothing title="Overview" />;
}
