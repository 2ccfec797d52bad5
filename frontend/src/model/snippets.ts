// A line of code that clips at a threshold, for each framework.

export type CodeFor = "torch" | "tensorflow" | "keras";

export const CODE_FOR: readonly (readonly [CodeFor, string])[] = [
  ["torch", "PyTorch"],
  ["tensorflow", "TensorFlow"],
  ["keras", "Keras"],
];

/** The one that a run was recorded with; PyTorch if it is none of them. */
export function codeFor(framework: string): CodeFor {
  return CODE_FOR.find(([name]) => name === framework)?.[0] ?? "torch";
}

/**
 * `normType` is the p of the p-norm. Only PyTorch clips by others than 2; of the rest this says so, since a threshold
 * of one norm means nothing to another.
 */
export function snippet(which: CodeFor, threshold: number, normType: number | string = 2): string {
  const value = String(threshold).replace("e+", "e");
  const order = normType === "inf" ? 'float("inf")' : String(normType);
  if (which === "torch") {
    const type = normType === 2 ? "" : `, norm_type=${order}`;
    return `writer.clip_grad_norm_(model.parameters(), max_norm=${value}${type})`;
  }
  if (normType !== 2) {
    const name = which === "keras" ? "Keras" : "TensorFlow";
    return `# ${name} clips by the L2 norm only.\n# ${value} is a threshold of the L${normType} norm.`;
  }
  return which === "keras"
    ? `keras.optimizers.Adam(global_clipnorm=${value})`
    : `gradients, norm = writer.clip_by_global_norm(gradients, ${value})`;
}
