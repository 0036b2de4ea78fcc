import { useDocument } from "../context";
import type { ArchitectureDocument, TrialDocument } from "../documents";
import { Explorer } from "../graph/explorer";
import type { ViewProperties } from "../page";
import { Loading, Nothing, Problem } from "../parts/told";
import { runPath } from "../source";

export function Trial({ run, version, parameters }: ViewProperties) {
  const name = parameters.get("baseline");
  const asked = parameters.get("trial") ?? run.front[0]?.trial ?? null;
  const path = name !== null ? `/baselines/${encodeURIComponent(name)}` : `/trials/${asked ?? 0}`;
  const found = useDocument<TrialDocument | ArchitectureDocument>(runPath(run.name, path), version);
  if (found.error) return <Problem error={found.error} />;
  if (!found.document) return <Loading what="network" />;
  const architecture = "nodes" in found.document ? found.document : found.document.architecture;
  if (!architecture) return <Nothing title="No network" />;
  return <Explorer document={architecture} title={name ?? `trial ${asked}`} />;
}
