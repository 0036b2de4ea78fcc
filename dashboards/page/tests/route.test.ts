// @vitest-environment jsdom
import { expect, test } from "vitest";
import { address, parseRoute } from "../src/route";

test.each([
  ["", "overview", null],
  ["#/", "overview", null],
  ["#/compare?runs=a,b", "compare", null],
  ["#/run/a/space", "space", "a"],
  ["#/run/a/nowhere", "front", "a"],
  ["#/run/a", "front", "a"],
  ["#content", "overview", null],
])("the address %j leads to %s", (hash, view, run) => {
  expect(parseRoute(hash)).toMatchObject({ view, run });
});

test("an address that cannot be read leads to all runs", () => {
  expect(parseRoute("#/run/%E0%A4%A/front")).toMatchObject({ view: "overview", run: null });
});

test("a place survives its address", () => {
  const route = parseRoute(address("trial", "a b", { trial: 5, node: "cell3/op1" }));
  expect([route.view, route.run, route.parameters.get("trial"), route.parameters.get("node")]).toEqual(["trial", "a b", "5", "cell3/op1"]);
});
