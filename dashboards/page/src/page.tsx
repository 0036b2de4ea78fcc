import type { ComponentType } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { SourceContext } from "./context";
import type { RunDocument } from "./documents";
import { type Live, useLive } from "./live";
import { KeyHelp } from "./parts/key_help";
import { type KeyBinding, useKeys } from "./parts/keys";
import { RunNotice, StateBadge } from "./parts/run_notice";
import { ThemeButton, useTheme } from "./parts/theme_button";
import { Loading, Problem } from "./parts/told";
import { address, go, lastAddress, type Route, useRoute, type View } from "./route";
import type { Source } from "./source";
import { Compare } from "./views/compare";
import { Failures } from "./views/failures";
import { Front } from "./views/front";
import { Overview } from "./views/overview";
import { Progress } from "./views/progress";
import { Provenance } from "./views/provenance";
import { Space } from "./views/space";
import { Supernet } from "./views/supernet";
import { Trial } from "./views/trial";

export interface ViewProperties {
  run: RunDocument;
  /** Sequence number that is known to be on disk: load documents again when it grows. */
  version: number;
  parameters: URLSearchParams;
}

interface RunView {
  view: View;
  label: string;
  key: string;
  component: ComponentType<ViewProperties>;
  /** Its place is for the chart: the heading is only for those who listen. */
  untitled?: boolean;
}

const RUN_VIEWS: RunView[] = [
  { view: "front", label: "Front", key: "1", component: Front, untitled: true },
  { view: "trial", label: "Architecture", key: "2", component: Trial },
  { view: "supernet", label: "Supernet", key: "3", component: Supernet },
  { view: "progress", label: "Progress", key: "4", component: Progress },
  { view: "space", label: "Space", key: "5", component: Space },
  { view: "failures", label: "Failures", key: "6", component: Failures },
  { view: "provenance", label: "Provenance", key: "7", component: Provenance },
];

/** Studies and runs that cannot be opened have no points to show. */
const viewsOf = (run: RunDocument | null): RunView[] =>
  run === null || run.kind === "search" ? RUN_VIEWS : run.kind === "study" ? RUN_VIEWS.filter((each) => each.view === "provenance") : [];

export function Page({ source }: { source: Source }) {
  return (
    <SourceContext.Provider value={source}>
      <Frame />
    </SourceContext.Provider>
  );
}

function Frame() {
  const route = useRoute();
  const live = useLive(route.run);
  const content = useRef<HTMLElement>(null);
  const [help, setHelp] = useState(false);
  const [theme, nextTheme] = useTheme();
  const place = `${route.run ?? ""} ${route.view}`;
  const before = useRef(place);
  useEffect(() => {
    const label = RUN_VIEWS.find((each) => each.view === route.view)?.label.toLowerCase() ?? route.view;
    document.title = route.run ? `${route.run} · ${label} · nas` : `${route.view === "compare" ? "compare" : "runs"} · nas`;
    // Readers of the page by voice or keyboard go on in the new view, not where the link stood.
    if (before.current !== place) content.current?.focus({ preventScroll: true });
    if (before.current !== place) scrollTo(0, 0);
    before.current = place;
  }, [place]);
  usePageKeys(route, live.run, nextTheme, () => setHelp(true));
  const views = viewsOf(live.run);
  const shown = views.find((each) => each.view === route.view) ?? views[0];
  return (
    <>
      <a
        class="skip-link"
        href="#content"
        onClick={(event) => {
          event.preventDefault(); // The address is the view's; a jump must not change it.
          content.current?.focus();
        }}
      >
        Skip to the content
      </a>
      <header class="frame">
        <div class="top">
          <a class="home" href={address("overview", null)} aria-label="nas: all runs">
            nas
          </a>
          {route.run !== null ? <RunPlace name={route.run} live={live} /> : <span class="place soft">{route.view === "compare" ? "compare" : "runs"}</span>}
          <div class="tools">
            <button type="button" onClick={() => setHelp(true)} aria-label="List the keys" title="Keys (?)">
              <span aria-hidden="true">?</span>
            </button>
            <ThemeButton theme={theme} onNext={nextTheme} />
          </div>
        </div>
        {route.run !== null && views.length > 0 && (
          <div>
            <Tabs views={views} shown={shown?.view} run={route.run} />
          </div>
        )}
      </header>
      <main id="content" tabIndex={-1} ref={content}>
        {route.run === null && route.view === "overview" && <Overview parameters={route.parameters} />}
        {route.run === null && route.view === "compare" && <Compare parameters={route.parameters} />}
        {route.run !== null && <OfRun name={route.run} route={route} live={live} shown={shown} />}
      </main>
      <KeyHelp open={help} onClose={() => setHelp(false)} />
    </>
  );
}

function usePageKeys(route: Route, run: RunDocument | null, nextTheme: () => void, openHelp: () => void): void {
  const latest = useRef({ nextTheme, openHelp });
  latest.current = { nextTheme, openHelp };
  const kind = run?.kind ?? null;
  const bindings = useMemo(() => {
    const name = route.run;
    const views = name === null ? [] : viewsOf(run);
    const made: KeyBinding[] = [
      { key: "?", label: "List the keys", run: () => latest.current.openHelp() },
      { key: "o", label: "All runs", run: () => go("overview", null) },
      { key: "t", label: "Colours: as the system, light, dark", run: () => latest.current.nextTheme() },
      ...views.map((each) => ({ key: each.key, label: each.label, run: () => void (location.hash = lastAddress(each.view, name)) })),
    ];
    return made;
  }, [route.run, kind]);
  useKeys("Page", bindings, true);
}

function RunPlace({ name, live }: { name: string; live: Live }) {
  return (
    <span class="place">
      <span class="run-name" title={name}>
        {name}
      </span>
      {live.run && <StateBadge state={live.run.state} />}
      <span class="soft live" role="status">
        {live.connected === false && live.run?.state === "running" ? "not connected" : ""}
      </span>
    </span>
  );
}

function Tabs({ views, shown, run }: { views: RunView[]; shown: View | undefined; run: string }) {
  const strip = useRef<HTMLElement>(null);
  useEffect(() => {
    const tab = strip.current?.querySelector<HTMLElement>("[aria-current]");
    if (strip.current && tab) strip.current.scrollLeft = tab.offsetLeft - strip.current.offsetLeft - 40;
  }, [shown]);
  return (
    <nav aria-label="Views of the run" ref={strip}>
      {views.map((each) => (
        <a key={each.view} href={each.view === shown ? address(each.view, run) : lastAddress(each.view, run)} aria-current={each.view === shown ? "page" : undefined}>
          {each.label}
        </a>
      ))}
    </nav>
  );
}

function OfRun({ name, route, live, shown }: { name: string; route: Route; live: Live; shown: RunView | undefined }) {
  if (live.error) return <Problem error={live.error} />;
  if (!live.run) return <Loading what={name} />;
  return (
    <>
      <RunNotice run={live.run} />
      {shown?.untitled && <h1 class="hidden">{shown.label}</h1>}
      {shown && <shown.component run={live.run} version={live.version} parameters={route.parameters} />}
    </>
  );
}
