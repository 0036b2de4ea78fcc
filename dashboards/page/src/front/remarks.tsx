import type { FrontDocument } from "../documents";
import type { Drawn } from "./option";
import { CONFIRMED, INHERITED, retrainedTwin, spanOf } from "./quantities";
import type { FrontState } from "./state";
import type { Change } from "./use_state";

interface RemarksProperties {
  front: FrontDocument;
  state: FrontState;
  drawn: Drawn | null;
  compareError: { message: string; fix: string | null } | null;
  change: Change;
}

/** What the chart cannot show on these axes, and where it can be seen. */
export function Remarks({ front, state, drawn, compareError, change }: RemarksProperties) {
  const retrained = [...front.points, ...front.baselines].filter((each) => spanOf(each, CONFIRMED)).length;
  const error = front.objectives.some((each) => each.name === "error") ? "error" : INHERITED;
  return (
    <>
      {retrained > 0 && retrainedTwin(state.y) === null && (
        <p class="front-remark">
          {retrained} networks were retrained.{" "}
          <button type="button" class="link" id="front-retrained" onClick={() => change({ y: error })}>
            Show inherited against retrained errors
          </button>
        </p>
      )}
      {drawn && drawn.scene.unplaced > 0 && (
        <p class="front-remark">{drawn.scene.unplaced} baselines have no value on these axes; the table of baselines has them all.</p>
      )}
      {drawn?.overlay.why && (
        <p class="front-remark">
          {drawn.overlay.why}{" "}
          {drawn.overlay.axes && (
            <button type="button" class="link" onClick={() => change({ ...drawn.overlay.axes })}>
              Show these axes
            </button>
          )}
        </p>
      )}
      {drawn?.overlay.fronts.length !== 0 && drawn?.overlay.sameData === false && (
        <p class="front-remark">These runs have different data: their errors cannot be compared.</p>
      )}
      {compareError && (
        <p class="front-remark">
          {compareError.message} {compareError.fix}
        </p>
      )}
    </>
  );
}
