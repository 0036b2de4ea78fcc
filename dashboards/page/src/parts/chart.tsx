import { BarChart, CustomChart, HeatmapChart, LineChart, ParallelChart, ScatterChart } from "echarts/charts";
import {
  AriaComponent,
  BrushComponent,
  DataZoomComponent,
  DatasetComponent,
  GridComponent,
  LegendComponent,
  MarkLineComponent,
  ParallelComponent,
  TooltipComponent,
  VisualMapComponent,
} from "echarts/components";
import type { EChartsCoreOption, EChartsType } from "echarts/core";
import { init, use } from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";
import { useEffect, useRef } from "preact/hooks";
import { type Palette, palette } from "./palette";

use([
  AriaComponent,
  BarChart,
  BrushComponent,
  CanvasRenderer,
  CustomChart,
  DataZoomComponent,
  DatasetComponent,
  GridComponent,
  HeatmapChart,
  LegendComponent,
  LineChart,
  MarkLineComponent,
  ParallelChart,
  ParallelComponent,
  ScatterChart,
  TooltipComponent,
  VisualMapComponent,
]);

export interface ChartProperties {
  /** Makes the option for the colours that are in force. */
  option: (colours: Palette) => EChartsCoreOption;
  /** What the chart shows, in one sentence, for those who cannot see it. */
  label: string;
  height?: number;
  /** Called once with the chart, to listen to its events. */
  onReady?: (chart: EChartsType) => void;
}

/**
 * An ECharts chart that follows the size of its place and the theme. Tooltips must be drawn with
 * `renderMode: "richText"`: names are then text on a canvas, and no inline style is needed, which
 * the page's policy forbids.
 */
export function Chart({ option, label, height = 420, onReady }: ChartProperties) {
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<EChartsType | null>(null);
  const latest = useRef(option);
  latest.current = option;
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    element.style.height = `${height}px`;
    const made = init(element, undefined, { renderer: "canvas" });
    chart.current = made;
    const draw = (): void => made.setOption(latest.current(palette()), { notMerge: true });
    onReady?.(made);
    // A watcher also reports the size that the chart was made with: drawing it again would be in vain.
    const watcher = new ResizeObserver(() => {
      if (made.getWidth() !== element.clientWidth || made.getHeight() !== element.clientHeight) made.resize();
    });
    watcher.observe(element);
    addEventListener("nas-theme", draw);
    const system = matchMedia("(prefers-color-scheme: dark)");
    system.addEventListener("change", draw);
    return () => {
      watcher.disconnect();
      removeEventListener("nas-theme", draw);
      system.removeEventListener("change", draw);
      made.dispose();
      chart.current = null;
    };
  }, []);
  useEffect(() => {
    chart.current?.setOption(option(palette()), { notMerge: true });
  }, [option]);
  useEffect(() => {
    if (place.current) place.current.style.height = `${height}px`;
  }, [height]);
  return <div ref={place} class="chart" role="img" aria-label={label} />;
}
