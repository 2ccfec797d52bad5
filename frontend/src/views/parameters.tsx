// Which parameter did what: a heatmap of all over steps, a table, and the norm of the one that is picked.

import { computed } from "@preact/signals";
import { heatmapSvg, MOST_ROWS } from "../charts/heatmap_svg";
import { LEAST_WIDTH } from "../charts/svg_parts";
import { QUANTITIES, QUANTITY_WORDS } from "../model/heatmap";
import { integer, plural } from "../model/format";
import { parameterCells } from "../model/parameter_table";
import { csvText } from "../model/table";
import { hasBroken, heat, heatmap, palette, shownRows, table, windows } from "../state/parameters";
import { axis, focus, quantity, theme } from "../state/signals";
import { Choice } from "./choice";
import { ExportMenu } from "./export_menu";
import { HeatmapPlace } from "./heatmap_place";
import { Help } from "./help";
import { NOT_RECORDED } from "./notices";
import { ParameterTable } from "./parameter_table";
import { Picked } from "./picked";

// A small summary, so that a new window does not render the whole card again.
const stage = computed(() => {
  if (!focus.value) return NOT_RECORDED;
  const shown = windows.value;
  if (shown && "error" in shown) return shown.error;
  if (!table.value) return "reading…";
  if (table.value.windows > 0) return null;
  const last = focus.value?.last_step ?? 0;
  return `No complete window of steps here: one has ${last < 4096 ? "16" : "16 or more"} steps.`;
});

/** About what the rows take once they are read, so that the page does not move then. */
const room = computed(() => {
  const rows = windows.value === null ? (focus.value?.parameters.length ?? 0) : 0;
  return rows === 0 ? "" : `${Math.min(rows * 25, 318) + 60}px`;
});

export function Parameters() {
  const note = stage.value;
  return (
    <section class="card parameters" aria-label="Parameters" data-testid="parameters">
      <h2>
        Parameters <small data-testid="parameters-words">{subtitle.value}</small>
        <span class="tools">
          {focus.value && <Quantities />}
          {note === null && <ExportParameters />}
          <Help of="parameters" />
        </span>
      </h2>
      {note !== null ? (
        <p class="hint" style={{ minHeight: room.value }} data-testid="parameters-note">
          {note}
        </p>
      ) : (
        <div class="beside">
          <div>
            <HeatmapPlace />
            <Legend />
          </div>
          <ParameterTable />
        </div>
      )}
      <Picked />
    </section>
  );
}

function Quantities() {
  return (
    <Choice
      name="quantity"
      label="What the heatmap shows"
      options={QUANTITIES.map((one) => [one, QUANTITY_WORDS[one][0]] as const)}
      value={quantity.value}
      onChange={(next) => (quantity.value = next)}
    />
  );
}

const subtitle = computed(() => {
  const run = focus.value;
  if (!run) return "";
  const steps = axis.value === "step" ? "" : ", over steps whatever the axis above";
  return `${QUANTITY_WORDS[quantity.value][1]}, ${run.name}${steps}`;
});

/** Rows of the heatmap and the table, from the one scrolled to if there are too many for a picture. */
function ExportParameters() {
  const picture = (): string => {
    const [data, scale] = [heatmap.value, heat.value];
    if (!data || !scale) return "";
    const place = document.querySelector("[data-testid=chart-parameters]");
    const scroller = place?.querySelector(".heatmap-rows");
    const share = (scroller?.scrollTop ?? 0) / (scroller?.scrollHeight || 1);
    const first = Math.round(share * data.names.length);
    const lines = [subtitle.value, ...rowsWords(data.names.length)];
    const legend = {
      title: QUANTITY_WORDS[quantity.value][0],
      ticks: scale.ticks,
      broken: hasBroken.value,
    };
    const size = { width: Math.max(place?.clientWidth ?? 0, LEAST_WIDTH), first };
    return heatmapSvg(data, { title: "Parameters", lines }, legend, size, theme.value);
  };
  const cells = (): Blob =>
    new Blob([csvText(parameterCells(shownRows.value))], { type: "text/csv" });
  return <ExportMenu name="parameters" label="Parameters" svg={picture} csv={cells} />;
}

/** What a picture has of these rows, and of all. */
function rowsWords(rows: number): readonly string[] {
  const all = table.value?.parameters.length ?? 0;
  if (rows > MOST_ROWS) return [`${MOST_ROWS} of ${plural(rows, "parameter")}`];
  return rows < all ? [`${plural(rows, "parameter")} of ${integer(all)}`] : [];
}

function Legend() {
  const scale = heat.value;
  const known = table.value;
  if (!scale || !known) return null;
  const { left_out } = known;
  return (
    <p class="legend" data-testid="legend">
      <span class="ramp" aria-hidden="true">
        <i style={{ background: `linear-gradient(to right, ${palette.value.join(", ")})` }} />
        {scale.ticks.map(({ position, label }) => (
          <span key={position} style={{ left: `${position * 100}%` }}>
            {label}
          </span>
        ))}
      </span>
      {hasBroken.value && (
        <span class="broken-key">
          <i /> no finite norm
        </span>
      )}
      {left_out > 0 && (
        <span>
          the {integer(known.parameters.length)} with the largest share; {plural(left_out, "other")}{" "}
          left out
        </span>
      )}
    </p>
  );
}
