// What the "?" of each panel says.

export type HelpKey =
  | "health"
  | "loss"
  | "norm"
  | "clip-rate"
  | "throttle"
  | "distribution"
  | "over-time"
  | "what-if"
  | "suggestions"
  | "parameters"
  | "alerts";

export interface HelpText {
  readonly title: string;
  /** What the panel shows. */
  readonly shows: string;
  readonly reading: string;
  /** When it looks bad, and what to do then. */
  readonly remedy: string;
  /** How the numbers are made, line by line; empty where there is nothing to explain. */
  readonly formulas: readonly string[];
}

export const HELP: Readonly<Record<HelpKey, HelpText>> = {
  health: {
    title: "Health",
    shows:
      "A line for each selected run: its rule, how often it clipped, how much that removed, what went wrong, and what recording costs.",
    reading:
      "A clip rate of a few percent means that clipping acts on outliers. Near 100 % it sets the size of every step, together with the learning rate. At 0 % it does nothing. The small range beside it is its 95 % interval.",
    remedy:
      "Press a chip under Alerts to zoom to what happened, and one under Lint to read what is set up wrongly and what to change.",
    formulas: [
      "clip rate = clipped steps / steps with a finite norm",
      "throttle = 1 − Σ norm after / Σ norm before",
    ],
  },
  loss: {
    title: "Loss",
    shows:
      "The loss of each step, as it was given to the writer, with a marker where an alert was raised: red for errors, amber for warnings. A dotted line stands where a later writer went on with a run.",
    reading:
      "Triangles on the edge stand where the loss was NaN or infinite. Drag to zoom, or turn the wheel with Ctrl (Cmd or Alt on a Mac) pressed; without it the page scrolls. Double-click to see all; click to pin a step, and there again to let it go; arrow keys move the cursor, Enter pins, Escape takes the pin away, then the zoom. Point at a marker to read what happened and which parameter changed first.",
    remedy:
      "Zoom to the marker and look at the norm below it. A norm that leaps up before the loss asks for a lower threshold or learning rate; a loss that rises while the norm is calm has another cause, such as the data.",
    formulas: ["smoothed: s ← w s + (1 − w) loss, with w the chosen smoothing"],
  },
  norm: {
    title: "Gradient norm",
    shows:
      "The norm of all gradients together, before clipping (dotted) and after (solid), and the threshold, of a schedule as stairs. ZClip, if switched on, is the largest norm that this method would have left alone.",
    reading:
      "Where both lines are one, the step was not clipped. A solid line that lies on the threshold all the time says that every step has the same size. Take hold of what if ↕, with the pointer or the arrow keys, to see in the what-if panel what another threshold would have done.",
    remedy:
      "Single spikes are what clipping is for. A norm that keeps rising asks for a lower learning rate or a longer warm-up. A norm that falls to nothing means that gradients vanish. If the threshold is far from all norms, look at the what-if panel.",
    formulas: [
      "norm = √ Σ g² over all elements of all gradients",
      "global norm rule: g ← g · min(1, threshold / norm)",
    ],
  },
  "clip-rate": {
    title: "Clip rate",
    shows: "The share of the last steps that were clipped, with its 95 % interval as a band.",
    reading:
      "Steps whose norm is not finite are left out. A wide band means that the window holds few steps. Under a rule on values a step counts as clipped if any element was cut.",
    remedy:
      "A rate that climbs to 100 % means that gradients outgrow the threshold: raise it, or lower the learning rate. A rate that falls to 0 % means that clipping no longer does anything.",
    formulas: [
      "rate = clipped / counted, over the chosen window",
      "band: Wilson's interval, (p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n), z = 1.96",
    ],
  },
  throttle: {
    title: "Throttle",
    shows: "The share of gradient length that clipping removed over the last steps.",
    reading:
      "At 0 % nothing is taken away. At 90 % the steps are a tenth as long as their gradients. A high clip rate with a low throttle means that clipping acts often but cuts little. Runs that do not clip have no line.",
    remedy:
      "A throttle that stays high makes the learning rate smaller than it says: raise the threshold, or leave it and lower the learning rate. One that rises while training goes on means that gradients grow.",
    formulas: [
      "throttle = 1 − Σ norm after / Σ norm before, over the chosen window; steps whose norm is not finite are left out",
    ],
  },
  distribution: {
    title: "Distribution",
    shows:
      "How large single gradients were at one step: before clipping as a dashed outline, after it as a filled shape. The axis is logarithmic on both sides of zero.",
    reading:
      "A rule on norms moves the whole shape towards zero and keeps its form. A rule on values cuts the tails and heaps them up at the limits. Point at a place to read how many gradients are larger. Without a pinned step it follows the newest; Escape in a chart takes the pin away.",
    remedy:
      "NaN or Inf above zero means that the step broke: the tally is red then. A large share of zeros points to dead units or to sparse inputs. If a value rule cuts more than a few percent, it changes the direction of the step, which is told above the chart.",
    formulas: [
      "two bins an octave, counted exactly; the height is the share of gradients in a bin",
    ],
  },
  "over-time": {
    title: "Distribution over time",
    shows:
      "How large single gradients were at every recorded step, before clipping and after it. The row at the bottom holds those that are exactly 0.",
    reading:
      "The stronger a cell, the larger the share of its step's gradients that lie there: point at it to read how many. The column in a frame is the step whose distribution is shown. Drag to zoom all charts, double-click to see all, click to pin a step; arrow keys go from one recorded step to the next. A line is where a rule on values cuts, and a red bar on top marks steps with NaN or Inf.",
    remedy:
      "A band that sinks says that gradients vanish; one that climbs or spreads upwards is on its way to an explosion: zoom in there and look at loss and norm. A row of zeros that grows stronger points to dead units. If after clipping the band ends in a strong edge at the limit, the rule on values cuts much: raise it, or clip by norm.",
    formulas: [
      "share = gradients in a cell / all gradients of the step",
      "strength = √(share / largest share of any cell before clipping)",
    ],
  },
  "what-if": {
    title: "Threshold what-if",
    shows:
      "For every threshold, how many of the recorded steps it would have clipped and how much of the gradients it would have removed. It follows the zoom on the step axis.",
    reading:
      "Drag the handle, or move it with the arrow keys. Where the solid line is low, only outliers are clipped; where it is high, clipping sets the size of nearly every step. The line of the chosen threshold appears on the gradient norm chart.",
    remedy:
      "If the run clips nearly all of its steps and was not meant to, try the threshold that clips 10 %. If it never clips, try the one that clips 1 %. Then train again: another threshold leads training elsewhere, and to other norms.",
    formulas: [
      "clip rate(c) = steps with norm > c / steps with a finite norm",
      "throttle(c) = 1 − Σ min(norm, c) / Σ norm",
      "AutoClip p: the p-th percentile of all norms so far",
      "ZClip: mean + 2.5 deviations of the norms, running with weight 0.97, after 25 steps",
    ],
  },
  suggestions: {
    title: "Suggested thresholds",
    shows:
      "Thresholds that would have clipped some share of the steps looked at, what the run's own did, and what AutoClip and ZClip would have come to, with the code that clips there.",
    reading:
      "Each row says what share of steps its threshold clips, and how much of their length that takes from all gradients (throttle). To copy a row takes its code along and moves the what-if line to it. Choose the framework below.",
    remedy:
      "If the run clips nearly all of its steps and was not meant to, take the row of 10 %; if spikes get through, that of 1 %. If even that has a high throttle, a few steps hold most of the gradients: look at the alerts first. The rows are about the gradients that were recorded; train again to see what another threshold leads to.",
    formulas: [
      "threshold for a share q of T steps: the smallest recorded norm that at most q T norms are above",
      "throttle(c) = 1 − Σ min(norm, c) / Σ norm",
      "AutoClip p: the p-th percentile of all norms looked at",
      "ZClip: mean + 2.5 deviations of the norms, running with weight 0.97, after 25 steps; the last one",
    ],
  },
  parameters: {
    title: "Parameters",
    shows:
      "What every parameter did over the course of training, in a heatmap and in a table of the same rows.",
    reading:
      "Each row is a parameter and each column a window of steps. The stronger a cell, the larger its share of the squared norm, its norm, its clip rate, or how often it was not finite, as chosen above. Press a row or a cell to pick a parameter: its norm appears below, and its gradients in the distribution. A heading sorts both by its column; the search keeps the rows that match.",
    remedy:
      "A row that suddenly takes most of the norm is where an explosion begins: clip that layer by its own norm, give it a lower learning rate or a normalisation. A row that stays empty has no gradient: check that it is trained.",
    formulas: [
      "share = m² / Σ m² over all parameters, with m the mean norm before clipping in the window",
      "clip rate = clipped steps / steps with a finite norm",
    ],
  },
  alerts: {
    title: "Alerts",
    shows:
      "Everything that was noticed in the selected runs. Beside the list, the one that is selected: norms of its parameters at every step around it.",
    reading:
      "Errors are what training does not survive by itself: numbers that are not finite, and losses that went up and stayed. Warnings came back or are about how clipping is set up. In the timeline each norm is told in multiples of its own median before.",
    remedy:
      "Press an alert to zoom to its steps. Start with the earliest error: the later ones often follow from it. The parameter that is named first is the one whose share of the norm left its past earliest; press it to see its distribution.",
    formulas: [
      "r = (x − m) / σ, with x = log loss, m its running mean and σ the running deviation from it",
      "divergence: S ← max(0, S + min(r, 5) − 1.15) is above 12, and the loss 20 % above exp(m); the 1.15 grows to twice as much where the noise of neighbours is alike",
      "spike: r > 8 and loss > 2 exp(m), unless it comes to a divergence",
      "explosion: the norm is 10 times its running mean and 6 σ above it, at 4 steps more than not",
      "vanishing: √ mean g² of a weight is below 10⁻⁶ of the largest for 64 steps; or the norm of all fell to 10⁻⁴ while the loss is above half of what it was",
      "not finite: loss or norm is NaN or infinite; zero step: the norm overflowed, so that clipping made all gradients 0",
      "regime: the 99 % interval of the clip rate of 200 steps has left the range that it was in, up to 5, 50, 95 or 100 %",
      "plateau: the mean of log loss over 250 steps fell by less than 0.01 in 1000 steps and a third of the run",
      "first to rise: log(s / (1 − s)) is 5 σ above its past, with s = norm² / Σ norm² of all parameters",
      "timeline: norm / median of the norms before the first of them left its past",
    ],
  },
};
