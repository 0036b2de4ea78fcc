import type { ComponentChildren } from "preact";
import { useDocument } from "../context";
import type { ProvenanceDocument } from "../documents";
import type { ViewProperties } from "../page";
import { Command } from "../parts/command";
import { duration, moment, number } from "../parts/numbers";
import { Facts, Panel } from "../parts/panel";
import { Share } from "../parts/spark";
import { Table } from "../parts/table";
import { Loading, Problem } from "../parts/told";
import { runPath } from "../source";
import { flattened, ledgerRows, type LedgerRow, spaced } from "./records";

export function Provenance({ run, version }: ViewProperties) {
  const { document, error } = useDocument<ProvenanceDocument>(runPath(run.name, "/provenance"), version);
  if (error && !document) return <Problem error={error} />;
  if (!document) return <Loading what="where the run comes from" />;
  return (
    <>
      <h1>Provenance</h1>
      <Panel
        title="Run it again"
        note="The same configuration, seed and versions give the same proposals. Measured latencies, and with them the front, differ from machine to machine and from day to day."
      >
        <Command text={document.command} />
        {Object.entries(document.commands).filter(([, text]) => text !== document.command).map(([title, text]) => (
          <Command key={title} label={title} text={text} />
        ))}
      </Panel>
      <Ledger ledger={document.ledger} />
      <div class="columns">
        <Panel title="Environment" note={`Made ${moment(run.created)}.`}>
          <Pairs pairs={flattened(document.environment)} />
        </Panel>
        <div>
          <Panel title="Seeds" note="Every draw has a seed of its own, derived from the run's seed, its purpose and its number.">
            <Pairs pairs={Object.entries(document.seeds)} />
          </Panel>
          <Panel title="Fingerprints" note="What must be equal for two runs to be about the same thing.">
            <Pairs pairs={Object.entries(document.hashes)} />
          </Panel>
        </div>
      </div>
      <Panel title="Configuration" note="As resolved when the run began, word for word: run.yaml.">
        <pre class="config" tabIndex={0} aria-label="Configuration">
          {document.config}
        </pre>
      </Panel>
    </>
  );
}

function Pairs({ pairs }: { pairs: readonly (readonly [string, ComponentChildren])[] }) {
  if (pairs.length === 0) return <p class="soft">Nothing was recorded.</p>;
  return (
    <dl class="pairs">
      {pairs.map(([name, value]) => (
        <div key={name}>
          <dt>{spaced(name)}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

const LEDGER_WORDS: Record<string, string> = {
  search_device_s: "the search alone",
  total_device_s: "with rivals and controls",
  unknown: "jobs without a recorded time",
};

function Ledger({ ledger }: { ledger: Record<string, unknown> }) {
  const { rows, facts } = ledgerRows(ledger);
  const most = Math.max(...rows.map((row) => row.device ?? 0), 0);
  if (rows.length === 0 && facts.length === 0) return <></>;
  return (
    <Panel
      title="What it cost"
      note="Time of the device that each part used: rivals and controls are counted too, so that a comparison at equal cost can be checked. Wall time includes waiting."
    >
      <Facts facts={facts.map(([name, value]) => [LEDGER_WORDS[name] ?? spaced(name), typeof value === "number" && name.endsWith("_s") ? duration(value) : String(value)])} />
      <Table
        caption="Cost by part of the run"
        rows={rows}
        rowKey={(row) => row.part}
        columns={[
          { key: "part", title: "Part", sort: (row: LedgerRow) => row.part, cell: (row) => row.part },
          { key: "jobs", title: "Jobs", number: true, descending: true, sort: (row) => row.jobs, cell: (row) => number(row.jobs) },
          { key: "device", title: "Device time", number: true, descending: true, sort: (row) => row.device, cell: (row) => duration(row.device) },
          { key: "share", title: "Compared", quiet: true, wide: true, cell: (row) => row.device !== null && most > 0 && <Share share={row.device / most} label="" /> },
          { key: "wall", title: "Wall time", number: true, descending: true, sort: (row) => row.wall, cell: (row) => duration(row.wall) },
          ...(rows.some((row) => row.unknown)
            ? [{ key: "unknown", title: "Unknown", help: "jobs whose time is not recorded", number: true, cell: (row: LedgerRow) => number(row.unknown) }]
            : []),
        ]}
      />
    </Panel>
  );
}
