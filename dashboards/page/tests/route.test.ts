// @vitest-environment jsdom
import { expect, test } from "vitest";
import { address, lastAddress, leave, parseRoute } from "../src/route";

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

test("a view of a run is come back to as it was left", () => {
  expect(lastAddress("front", "a")).toBe(address("front", "a"));
  leave(address("front", "a", { "max.latency": 0.2 }));
  leave(address("trial", "a", { trial: 7 }));
  leave("#/");
  expect(lastAddress("front", "a")).toBe("#/run/a/front?max.latency=0.2");
  expect(lastAddress("trial", "a")).toBe("#/run/a/trial?trial=7");
  expect(lastAddress("front", "b")).toBe(address("front", "b"));
});
