// Tables as text, for spreadsheets and scripts.

export type Cell = string | number | null;

/** What makes spreadsheets take a text for a formula. Source: OWASP, CSV Injection; the server's `csv` route agrees. */
const FORMULA = /^[=+\-@\t\r\n＝＋－＠]/;

/** Rows as RFC 4180 has them. A number has all its digits; what is missing is an empty cell. */
export function csvText(rows: readonly (readonly Cell[])[]): string {
  const quoted = (text: string): string =>
    /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
  return rows.map((row) => `${row.map((cell) => quoted(plain(cell))).join(",")}\r\n`).join("");
}

/** Rows to paste into a spreadsheet; tabs and line breaks within a text become spaces. */
export function tsvText(rows: readonly (readonly Cell[])[]): string {
  const flat = (text: string): string => text.replace(/[\t\r\n]+/g, " ");
  return rows.map((row) => row.map((cell) => flat(plain(cell))).join("\t")).join("\n");
}

function plain(cell: Cell): string {
  if (cell === null) return "";
  if (typeof cell === "number") return numeral(cell);
  return FORMULA.test(cell) ? `'${cell}` : cell;
}

/** As the server writes numbers: `nan`, `inf` and `-inf` where they are not finite. */
function numeral(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (Number.isFinite(value)) return String(value);
  return value > 0 ? "inf" : "-inf";
}
