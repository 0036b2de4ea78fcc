import { type Domain, placed, sparkPoints, thinned } from "./marks";

interface SparkProperties {
  values: readonly number[];
  /** Says what the line shows and where it ends. */
  label: string;
  width?: number;
  height?: number;
}

/** A line the size of a word: how a number went, without axes. */
export function Spark({ values, label, width = 96, height = 24 }: SparkProperties) {
  const points = sparkPoints(thinned(values, width), width, height);
  const [x = 0, y = 0] = (points.split(" ").at(-1) ?? "").split(",").map(Number);
  return (
    <svg class="spark" width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="img" aria-label={label}>
      <polyline points={points} />
      {points !== "" && <circle cx={x} cy={y} r={2} />}
    </svg>
  );
}

interface IntervalProperties {
  value: number;
  low: number | null;
  high: number | null;
  domain: Domain;
  /** A line to compare with, such as zero. */
  mark?: number;
  label: string;
  width?: number;
}

/** A value with its interval on a scale that it shares with its neighbours. */
export function IntervalMark({ value, low, high, domain, mark, label, width = 160 }: IntervalProperties) {
  const at = (each: number): number => placed(each, domain, 5, width - 5);
  const apart = mark !== undefined && low !== null && high !== null && (low > mark || high < mark);
  return (
    <svg class={apart ? "interval apart" : "interval"} width={width} height={18} viewBox={`0 0 ${width} 18`} role="img" aria-label={label}>
      {mark !== undefined && <line class="mark" x1={at(mark)} x2={at(mark)} y1={0} y2={18} />}
      {low !== null && high !== null && <line class="range" x1={at(low)} x2={at(high)} y1={9} y2={9} />}
      <circle cx={at(value)} cy={9} r={apart ? 4 : 3.5} />
    </svg>
  );
}

interface ShareProperties {
  /** 0 to 1. */
  share: number;
  /** A part of the share in the accent's colour, 0 to 1. */
  part?: number;
  /** Empty where the number stands beside the bar. */
  label: string;
  width?: number;
}

/** A bar that is filled by a share. */
export function Share({ share, part, label, width = 96 }: ShareProperties) {
  const length = (each: number): number => width * Math.min(1, Math.max(0, each));
  return (
    <svg class="share" width={width} height={10} viewBox={`0 0 ${width} 10`} preserveAspectRatio="none" {...(label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" })}>
      <rect class="all" width={width} height={10} rx={2} />
      <rect class="filled" width={length(share)} height={10} rx={2} />
      {part !== undefined && <rect class="part" width={length(part)} height={10} rx={2} />}
    </svg>
  );
}
