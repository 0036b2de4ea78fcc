import { afterEach, describe, expect, test, vi } from "vitest";
import { Missing, openSource, type Source } from "../src/source";

async function packed(text: string): Promise<string> {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  return btoa(String.fromCharCode(...bytes));
}

/** The page's document as far as a source looks at it: jsdom has no streams to unpack with. */
function pageWith(elements: Record<string, { textContent: string }>): void {
  vi.stubGlobal("document", { getElementById: (id: string) => elements[id] ?? null });
}

async function report(documents: Record<string, unknown>): Promise<Source> {
  pageWith({ "report-documents": { textContent: await packed(JSON.stringify(documents)) } });
  return openSource();
}

afterEach(() => {
  vi.unstubAllGlobals();
});

describe("a report", () => {
  const documents = { "/api/runs": { runs: [] }, "/api/runs/my-run": { name: "my-run" }, "/api/runs/my-run/front": { points: [1] } };

  test("answers from what it carries, letters of all languages included", async () => {
    const source = await report({ ...documents, "/api/runs/my-run/space": { name: "Größe ∅" } });
    expect(await source.get("/api/runs/my-run/space")).toEqual({ name: "Größe ∅" });
    expect(source.live).toBe(false);
  });

  test("knows the run it is about", async () => {
    expect((await report(documents)).about).toBe("my-run");
  });

  test("says that it does not carry a document, and who does", async () => {
    const source = await report(documents);
    const asked = source.get("/api/runs/my-run/trials/5").catch((error: unknown) => error);
    expect(await asked).toBeInstanceOf(Missing);
    expect(await asked).toMatchObject({ message: "The report does not carry this.", fix: "nas dash shows the whole run.", status: 404 });
  });
});

test("without a report the page asks a server, for any run", async () => {
  pageWith({});
  const source = await openSource();
  expect([source.live, source.about]).toEqual([true, null]);
});
