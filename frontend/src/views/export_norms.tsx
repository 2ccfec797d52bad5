// What charts of single parameters' norms hand over.

import { chartSvg, type ChartWords } from "../charts/chart_svg";
import type { ChartData } from "../model/chart";
import { integer } from "../model/format";
import { alertTitle } from "../model/health";
import { blameCells, windowCells } from "../model/norm_tables";
import { csvText, type Cell } from "../model/table";
import { blame, blameChart, openAlert, shownFlight } from "../state/alerts";
import { pickedChart, table } from "../state/parameters";
import { pickedParameter, theme } from "../state/signals";
import { ExportMenu } from "./export_menu";
import { pictureSize } from "./export_time_chart";

export function ExportPicked() {
  const picture = (): string => {
    const [data, name] = [pickedChart.value, pickedParameter.value];
    const [line] = data?.lines ?? [];
    if (!data || !line || name === null) return "";
    const words = {
      title: "Norm of a parameter before clipping",
      dashes: [{ label: "mean; shaded: up to the largest", dash: [] }],
      legend: [{ name: `${line.run}: ${name}`, colour: line.colour }],
    };
    return pictureOf(data, words);
  };
  const cells = (): Blob =>
    csvOf(table.value && windowCells(table.value, pickedParameter.value ?? ""));
  return <ExportMenu name="picked" label="Norm of the parameter" svg={picture} csv={cells} />;
}

export function ExportBlame() {
  const picture = (): string => {
    const [data, lines, alert] = [blameChart.value, blame.value, openAlert.value];
    if (!data || !lines || !alert) return "";
    const words = {
      title: `${alertTitle(alert.kind)} at step ${integer(alert.step)} of ${alert.run}`,
      dashes: [{ label: "norm before clipping, over its median before", dash: [] }],
      legend: lines,
    };
    return pictureOf(data, words);
  };
  const cells = (): Blob => {
    const [known, lines] = [shownFlight.value, blame.value];
    return csvOf(known && lines && blameCells(known.run, known.steps, lines));
  };
  return <ExportMenu name="blame" label="Timeline of the alert" svg={picture} csv={cells} />;
}

function pictureOf(data: ChartData, words: Omit<ChartWords, "axis">): string {
  return chartSvg(data, { ...words, axis: "step" }, pictureSize(), theme.value);
}

function csvOf(cells: readonly (readonly Cell[])[] | null): Blob {
  return new Blob([cells ? csvText(cells) : ""], { type: "text/csv" });
}
