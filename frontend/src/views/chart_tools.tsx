// What a time chart can be told from its heading.

import { scales, spans, zoom, zoomTo } from "../state/signals";
import { zclipShown } from "../state/what_if";

interface ToggleProps {
  readonly on: boolean;
  readonly testId: string;
  readonly title?: string;
  readonly press: () => void;
  readonly children: string;
}

function Toggle({ on, testId, title, press, children }: ToggleProps) {
  return (
    <button
      type="button"
      class="quiet"
      aria-pressed={on}
      title={title}
      data-testid={testId}
      onClick={press}
    >
      {children}
    </button>
  );
}

export function LogToggle({
  chart,
  on,
}: {
  readonly chart: "loss" | "norm";
  readonly on: boolean;
}) {
  const press = (): void => {
    scales.value = { ...scales.value, [chart]: on ? "linear" : "log" };
  };
  return (
    <Toggle on={on} testId={`log-${chart}`} press={press}>
      log
    </Toggle>
  );
}

export function MostToggle({ chart }: { readonly chart: "loss" | "norm" }) {
  const on = spans.value[chart] === "most";
  const press = (): void => {
    spans.value = { ...spans.value, [chart]: on ? "full" : "most" };
  };
  const title = "Span the middle 98 % of the points; arrows at the edge show what lies beyond";
  return (
    <Toggle on={on} testId={`most-${chart}`} title={title} press={press}>
      most
    </Toggle>
  );
}

export function ZClipToggle() {
  const on = zclipShown.value;
  const title = "The largest norm that ZClip would have left alone, for the run below";
  return (
    <Toggle on={on} testId="zclip" title={title} press={() => (zclipShown.value = !on)}>
      ZClip
    </Toggle>
  );
}

export function ResetZoom() {
  if (!zoom.value) return <span class="hint">drag to zoom</span>;
  return (
    <button type="button" class="quiet" data-testid="reset-zoom" onClick={() => zoomTo(null)}>
      reset zoom
    </button>
  );
}
