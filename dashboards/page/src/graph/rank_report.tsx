import type { SupernetDocument } from "../documents";
import { Command } from "../parts/command";
import { number } from "../parts/numbers";
import { Facts, Panel } from "../parts/panel";
import { TrustBadge } from "../parts/run_notice";
import { Table } from "../parts/table";
import { flattened } from "../views/records";

interface Estimate {
  value: number | null;
  low: number | null;
  high: number | null;
}

interface Predictor {
  predictor: string;
  role: string;
  tau?: Record<string, Estimate>;
  regret_of_top?: number | null;
}

/** Whether inherited scores rank networks as training alone does, and what says so. */
export function RankReport({ run, rank, verdict }: { run: string; rank: SupernetDocument["rank"]; verdict: string }) {
  const predictors = Array.isArray(rank?.["predictors"]) ? (rank["predictors"] as Predictor[]) : [];
  return (
    <Panel title="Does the supernet rank rightly?" aside={<TrustBadge verdict={verdict} />} note="Kendall's tau between a score and the error of networks trained alone, with its 95 % interval: 1 is the same order, 0 no relation. A score that does not beat the untrained control says nothing.">
      {rank === null ? (
        <Command label="Nobody has checked this supernet yet. To check it:" text={`nas supernet rank ${run}`} />
      ) : predictors.length > 0 ? (
        <Table
          caption="Predictors of the true order"
          rows={predictors}
          rowKey={(row) => row.predictor}
          columns={[
            { key: "predictor", title: "Score", sort: (row) => row.predictor, cell: (row) => row.predictor },
            { key: "role", title: "Role", sort: (row) => row.role, cell: (row) => row.role },
            { key: "all", title: "All pairs", number: true, descending: true, sort: (row) => row.tau?.["all"]?.value ?? null, cell: (row) => told(row.tau?.["all"]) },
            { key: "within", title: "Within families", number: true, descending: true, sort: (row) => row.tau?.["within"]?.value ?? null, cell: (row) => told(row.tau?.["within"]) },
            { key: "between", title: "Between families", number: true, descending: true, sort: (row) => row.tau?.["between"]?.value ?? null, cell: (row) => told(row.tau?.["between"]) },
            { key: "regret", title: "Regret of its best", help: "how much worse its first choice is than the truly best, in nats", number: true, sort: (row) => row.regret_of_top ?? null, cell: (row) => number(row.regret_of_top, 3) },
          ]}
        />
      ) : (
        <Facts facts={flattened(rank).slice(0, 40)} />
      )}
    </Panel>
  );
}

function told(estimate: Estimate | undefined): string {
  if (!estimate || estimate.value === null) return "-";
  const interval = estimate.low === null || estimate.high === null ? "" : ` (${estimate.low.toFixed(2)} to ${estimate.high.toFixed(2)})`;
  return `${estimate.value.toFixed(2)}${interval}`;
}
