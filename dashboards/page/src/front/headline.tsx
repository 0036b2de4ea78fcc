import type { FrontDocument } from "../documents";
import { number } from "../parts/numbers";
import { Badge, Figure } from "../parts/panel";
import { trustWords } from "../parts/words";
import { address } from "../route";
import type { Rows } from "./rows";

/** What the front as a whole is, and how far its order can be trusted. */
export function Headline({ front, rows, run }: { front: FrontDocument; rows: Rows; run: string }) {
  const trust = trustWords(front.trust.verdict);
  const { hypervolume, knee } = front;
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
      <div class="front-trust">
        <p>
          <Badge tone={trust.tone} title={trust.meaning}>
            {trust.word}
          </Badge>{" "}
          {front.stamp && <span class="stamp">{front.stamp}</span>}
        </p>
        <p class="soft">
          {front.trust.front && `The front compares ${front.trust.front}. `}
          {trust.meaning}
          {front.trust.why && ` (${front.trust.why})`}
        </p>
      </div>
    </section>
  );
}
