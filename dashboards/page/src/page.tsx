import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";
import { SourceContext } from "./context";
import type { RunDocument } from "./documents";
import { useLive } from "./live";
import { ThemeButton } from "./parts/theme_button";
import { address, useRoute, type View } from "./route";
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

const RUN_VIEWS: { view: View; label: string; component: ComponentType<ViewProperties> }[] = [
  { view: "front", label: "Front", component: Front },
  { view: "trial", label: "Architecture", component: Trial },
  { view: "supernet", label: "Supernet", component: Supernet },
  { view: "progress", label: "Progress", component: Progress },
  { view: "space", label: "Space", component: Space },
  { view: "failures", label: "Failures", component: Failures },
  { view: "provenance", label: "Provenance", component: Provenance },
];

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
  useEffect(() => {
    document.title = route.run ? `${route.run} · ${route.view} · nas` : "runs · nas";
  }, [route.run, route.view]);
  const shown = RUN_VIEWS.find((each) => each.view === route.view);
  return (
    <>
      <a class="skip-link" href="#content">
        Skip to the content
      </a>
      <header class="frame">
        <a class="home" href={address("overview", null)}>
          nas
        </a>
        {route.run !== null && (
          <>
            <span class="run-name" title={route.run}>
              {route.run}
            </span>
            <nav aria-label="Views of the run">
              {RUN_VIEWS.map((each) => (
                <a key={each.view} href={address(each.view, route.run)} aria-current={each.view === route.view ? "page" : undefined}>
                  {each.label}
                </a>
              ))}
            </nav>
          </>
        )}
        <ThemeButton />
      </header>
      <main id="content" tabIndex={-1}>
        {route.run === null && route.view === "overview" && <Overview parameters={route.parameters} />}
        {route.run === null && route.view === "compare" && <Compare parameters={route.parameters} />}
        {route.run !== null && live.run && shown && (
          <shown.component run={live.run} version={live.version} parameters={route.parameters} />
        )}
        {route.run !== null && !live.run && <p class="soft">Loading {route.run}.</p>}
      </main>
    </>
  );
}
