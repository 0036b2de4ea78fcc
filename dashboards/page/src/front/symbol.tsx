/** A shape of the chart, the size of a letter. Drawn as SVG, so that legend and chart agree. */

const SHAPES: Record<string, string> = {
  circle: "M5 0A5 5 0 1 1 5 10A5 5 0 1 1 5 0Z",
  emptyCircle: "M5 0A5 5 0 1 1 5 10A5 5 0 1 1 5 0Z",
  rect: "M0 0H10V10H0Z",
  triangle: "M5 0L10 10H0Z",
  diamond: "M5 0L10 5L5 10L0 5Z",
  emptyDiamond: "M5 0L10 5L5 10L0 5Z",
};

interface SymbolProperties {
  symbol: string;
  colour: string;
  size?: number;
  opacity?: number;
}

export function ShapeSymbol({ symbol, colour, size = 11, opacity = 1 }: SymbolProperties) {
  const path = symbol.startsWith("path://") ? symbol.slice(7) : (SHAPES[symbol] ?? SHAPES["circle"]);
  const hollow = symbol.startsWith("empty");
  return (
    <svg class="shape" width={size} height={size} viewBox="-1 -1 12 12" aria-hidden="true">
      <path d={path} fill={hollow ? "none" : colour} stroke={colour} stroke-width={hollow ? 2 : 1} opacity={opacity} />
    </svg>
  );
}
