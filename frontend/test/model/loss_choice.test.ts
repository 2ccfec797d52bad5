import { describe, expect, it } from "vitest";
import { lossOptions, type WithLoss } from "../../src/model/loss_choice";

const recorded = (...choices: string[]): WithLoss => ({
  recorded: true,
  loss: { tag: null, choices },
});
const plain = (...choices: string[]): WithLoss => ({
  recorded: false,
  loss: { tag: choices[0] ?? null, choices },
});
const tags = (runs: readonly WithLoss[], chosen: string | null = null) =>
  lossOptions(runs, chosen)?.map(({ tag }) => tag) ?? null;

describe("lossOptions", () => {
  it("are none while there is nothing to choose", () => {
    expect(tags([])).toBeNull();
    expect(tags([recorded()])).toBeNull();
    expect(tags([plain("loss"), plain("loss")])).toBeNull();
  });

  it("are a recorded loss or a scalar, or one of several scalars", () => {
    expect(tags([recorded("loss")])).toEqual([null, "loss"]);
    expect(tags([plain("loss", "val_loss")])).toEqual([null, "loss", "val_loss"]);
    expect(tags([plain("loss"), plain("train_loss")])).toEqual([null, "loss", "train_loss"]);
  });

  it("come with what is best for any run first, each once", () => {
    const runs = [plain("z_loss", "b_loss"), plain("b_loss", "c"), plain("a", "b_loss", "z_loss")];
    expect(tags(runs)).toEqual([null, "a", "b_loss", "z_loss", "c"]);
    expect(tags([...runs].reverse())).toEqual(tags(runs));
  });

  it("keep what was chosen, whoever has it", () => {
    expect(tags([recorded()], "gone")).toEqual([null, "gone"]);
    expect(tags([plain("loss")], "loss")).toEqual([null, "loss"]);
    expect(tags([plain("loss", "b")], "gone")).toEqual([null, "loss", "b", "gone"]);
  });

  it("are called recorded only where something was", () => {
    expect(lossOptions([recorded("a")], null)?.[0]?.text).toBe("recorded");
    expect(lossOptions([plain("a", "b")], null)?.[0]?.text).toBe("automatic");
  });
});
