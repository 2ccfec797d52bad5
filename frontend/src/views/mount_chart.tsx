import { useLayoutEffect, useRef } from "preact/hooks";

interface MountChartProps {
  readonly testId: string;
  readonly label: string;
  readonly class?: string;
  readonly focusable?: boolean;
  /** Builds the chart in the element and returns what takes it away. Called once. */
  readonly mount: (element: HTMLElement) => () => void;
}

/** The place where a chart, which knows nothing of components, lives. */
export function MountChart(props: MountChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const { mount } = props;
  useLayoutEffect(() => {
    const element = place.current;
    return element ? mount(element) : undefined;
    // Charts follow signals, not props: mounting again on each render would lose them.
  }, []);
  return (
    <div
      ref={place}
      class={`chart ${props.class ?? ""}`}
      role="group"
      aria-label={props.label}
      tabIndex={props.focusable ? 0 : undefined}
      data-testid={props.testId}
    />
  );
}
