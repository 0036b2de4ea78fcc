import { Nothing } from "../parts/told";

export function Compare(_: { parameters: URLSearchParams }) {
  return <Nothing title="Compare" />;
}
