// The table beside the heatmap. Of hundreds of rows only those in view exist.

import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import {
  COLUMNS,
  nextSort,
  parameterCells,
  rowsInView,
  type ParameterRow,
  type SortKey,
} from "../model/parameter_table";
import { integer } from "../model/format";
import {
  parameterFilter,
  parameterSearch,
  parameterSort,
  pick,
  rowOrder,
  shownRows,
} from "../state/parameters";
import { pickedParameter } from "../state/signals";
import { CopyTable } from "./copy_table";
import { CopyableTable } from "./copyable_table";

/** Every row is as tall, as the style sheet says too. */
const ROW = 25;
const VIEW = 318;
/** Fewer rows than this are all there, so that the page's own search finds them. */
const MANY = 100;

export function ParameterTable() {
  const place = useRef<HTMLDivElement>(null);
  const scrolled = useSignal(0);
  const rows = shownRows.value;
  useLayoutEffect(() => {
    if (place.current) place.current.scrollTop = 0;
  }, [rowOrder.value]);
  const all = rows.length <= MANY;
  const [from, to] = all ? [0, rows.length] : rowsInView(rows.length, ROW, scrolled.value, VIEW);
  return (
    <div class="parameter-table">
      <Tools rows={rows} />
      <CopyableTable
        label="Parameters"
        place={place}
        onScroll={(to) => {
          scrolled.value = to;
        }}
      >
        <table aria-rowcount={rows.length + 1}>
          <Headings />
          <tbody>
            <Spacer rows={from} />
            {rows.slice(from, to).map((row, i) => (
              <Row key={row.name} row={row} index={from + i} />
            ))}
            <Spacer rows={rows.length - to} />
          </tbody>
        </table>
        {rows.length === 0 && <p class="hint">No parameter has such a name.</p>}
      </CopyableTable>
    </div>
  );
}

function Tools({ rows }: { readonly rows: readonly ParameterRow[] }) {
  const { error } = parameterFilter.value;
  return (
    <div class="table-tools">
      <input
        type="search"
        aria-label="Search parameters by regular expression"
        placeholder="Search parameters (regex)"
        spellcheck={false}
        value={parameterSearch.value}
        aria-invalid={error !== null}
        title={error ?? ""}
        data-testid="parameter-search"
        onInput={(event) => (parameterSearch.value = event.currentTarget.value)}
      />
      <span class="hint" role="status" data-testid="parameter-count">
        {integer(rows.length)}
      </span>
      <CopyTable testId="copy-parameters" cells={() => parameterCells(rows)} />
    </div>
  );
}

function Headings() {
  const sort = parameterSort.value;
  const heading = (key: SortKey, label: string, title: string) => (
    <th
      key={key}
      scope="col"
      class={key === "name" ? "" : "number"}
      aria-sort={sort.key !== key ? undefined : sort.descending ? "descending" : "ascending"}
    >
      <button
        type="button"
        title={title}
        data-testid={`sort-${key}`}
        onClick={() => (parameterSort.value = nextSort(sort, key))}
      >
        {label}
        <i aria-hidden="true">{sort.key !== key ? "" : sort.descending ? " ▾" : " ▴"}</i>
      </button>
    </th>
  );
  return (
    <thead>
      <tr>
        {heading("name", "Parameter", "Sorts by name; a third press gives the order of the model")}
        {COLUMNS.map(({ key, label, title }) => heading(key, label, title))}
      </tr>
    </thead>
  );
}

/** The first click on a row picks it, and does not copy what happens to lie there; further ones copy its values. */
function Row({ row, index }: { readonly row: ParameterRow; readonly index: number }) {
  const picked = pickedParameter.value === row.name;
  return (
    <tr
      class={picked ? "picked" : ""}
      aria-rowindex={index + 2}
      data-testid="parameter-row"
      data-parameter={row.name}
      onClick={(event) => {
        if (picked && (event.target as Element).closest("td")) return;
        event.stopPropagation();
        if (window.getSelection()?.isCollapsed !== false) pick(row.name); // not while text is selected
      }}
    >
      <th scope="row" title={row.name}>
        <button
          type="button"
          class="cut"
          aria-pressed={picked}
          onClick={(event) => {
            event.stopPropagation();
            pick(row.name);
          }}
        >
          <bdi>{row.name}</bdi>
        </button>
      </th>
      {COLUMNS.map(({ key, text }) => (
        <td key={key} class={key === "nonfinite" && row.nonfinite > 0 ? "word error" : ""}>
          {text(row)}
        </td>
      ))}
    </tr>
  );
}

function Spacer({ rows }: { readonly rows: number }) {
  return rows > 0 ? <tr aria-hidden="true" style={{ height: `${rows * ROW}px` }} /> : null;
}
