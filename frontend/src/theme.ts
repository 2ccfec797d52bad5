// Light and dark: one table feeds the style sheet's variables and the canvases, so they cannot differ.

export interface Theme {
  readonly background: string;
  readonly card: string;
  readonly ink: string;
  readonly soft: string;
  readonly faint: string;
  readonly line: string;
  readonly grid: string;
  readonly accent: string;
  readonly error: string;
  readonly warning: string;
  readonly ok: string;
  readonly hover: string;
  readonly dark: boolean;
}

export const LIGHT: Theme = {
  background: "#f5f6f8",
  card: "#ffffff",
  ink: "#1f2430",
  soft: "#535c6a",
  faint: "#656e7d",
  line: "#e0e3e8",
  grid: "#eef0f3",
  accent: "#b45309",
  error: "#c5221f",
  warning: "#a35700",
  ok: "#137333",
  hover: "#eef3ff",
  dark: false,
};

export const DARK: Theme = {
  background: "#17191e",
  card: "#20232a",
  ink: "#e6e9ef",
  soft: "#aab2c0",
  faint: "#8f98a8",
  line: "#363b46",
  grid: "#2a2e37",
  accent: "#ffa04d",
  error: "#ff7b72",
  warning: "#f2b04b",
  ok: "#6fcf8e",
  hover: "#2a3040",
  dark: true,
};

export function applyTheme(root: HTMLElement, theme: Theme): void {
  for (const [name, value] of Object.entries(theme)) {
    if (typeof value === "string") root.style.setProperty(`--${name}`, value);
  }
  root.style.colorScheme = theme.dark ? "dark" : "light";
}

/**
 * Calls back now and on every change. TensorBoard marks its own page's body, not ours; outside TensorBoard, or
 * where its page cannot be read, the system's preference decides. Paper is light.
 */
export function watchTheme(changed: (theme: Theme) => void): () => void {
  const host = hostBody();
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const tell = (): void => {
    const dark = host ? host.classList.contains("dark-mode") : system.matches;
    changed(dark ? DARK : LIGHT);
  };
  const observer = new MutationObserver(tell);
  if (host) observer.observe(host, { attributes: true, attributeFilter: ["class"] });
  else system.addEventListener("change", tell);
  const onPaper = (): void => changed(LIGHT);
  window.addEventListener("beforeprint", onPaper);
  window.addEventListener("afterprint", tell);
  tell();
  return () => {
    observer.disconnect();
    system.removeEventListener("change", tell);
    window.removeEventListener("beforeprint", onPaper);
    window.removeEventListener("afterprint", tell);
  };
}

function hostBody(): HTMLElement | null {
  try {
    return window.parent === window ? null : window.parent.document.body;
  } catch {
    return null; // another origin
  }
}
