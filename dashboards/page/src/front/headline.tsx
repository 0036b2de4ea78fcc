import type { FrontDocument } from "../documents";
import { number } from "../parts/numbers";
import { Figure } from "../parts/panel";
import { address } from "../route";
import type { Rows } from "./rows";

/** What the front as a whole is, and how far its order can be trusted. */
export function Headline({ front, rows, run }: { front: FrontDocument; rows: Rows; run: string }) {
  const { hypervolume, knee } = front;
  const leftOut = front.trust.left_out ?? 0;
  return (
    <section class="front-head" aria-label="The front as a whole">
      <div class="figures">
        <Figure value={front.points.length} label={`on the front of ${rows.count.toLocaleString("en")} trials`} note={front.near_front.length > 0 && `${front.near_front.length} more may be`} />
        {knee && (
          <Figure
            value={<a href={address("trial", run, { trial: knee.trial })}>trial {knee.trial}</a>}
            label="knee: the point of balance"
            note={`in ${(100 * knee.probability).toFixed(0)} % of the draws`}
          />
        )}
        {hypervolume && <Figure value={number(hypervolume.shrunken, 3)} label="hypervolume" note={`95 %: ${number(hypervolume.low, 3)} to ${number(hypervolume.high, 3)}`} />}
      </div>
      <p class="front-trust soft">
        {front.trust.front && `The front compares ${front.trust.front}. `}
        {front.trust.why && `The ranking is ${front.trust.verdict}: ${front.trust.why}.`}
        {leftOut > 0 && ` ${leftOut} trials without a calibrated score are left out.`}
      </p>
    </section>
  );
}
