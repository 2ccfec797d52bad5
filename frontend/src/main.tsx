// Called by TensorBoard's page once this module is loaded; a report has nobody around it and calls itself.

import { render as mount } from "preact";
import { effect } from "@preact/signals";
import { drawAll } from "./charts/frames";
import { start } from "./state/effects";
import { isReport } from "./state/report";
import { theme } from "./state/signals";
import { applyTheme } from "./theme";
import { App } from "./views/app";
import styles from "./styles.css?inline";
import parameterStyles from "./styles/parameters.css?inline";

export function render(): void {
  const sheet = document.createElement("style");
  sheet.textContent = styles + parameterStyles;
  document.head.append(sheet);
  document.documentElement.lang = "en";
  document.title ||= "GradClip for TensorBoard";
  start();
  addEventListener("beforeprint", drawAll); // after the theme has changed to that of paper
  effect(() => applyTheme(document.documentElement, theme.value));
  mount(<App />, document.body);
}

if (isReport) render();
