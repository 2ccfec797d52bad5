"""What recording adds to a training step in PyTorch, beside what a user would do instead.

    python -m tests.benchmarks.train_overhead [--model lstm mlp convnet transformer gpt2] [--device cpu|cuda]

All contestants train copies of the same model in one process, in turns of a few steps each, so that a machine that
speeds up or slows down does it for all. Each turn ends with a flush and is timed from one idle device to the next; a
round is as many turns as make 50 steps. Printed is the median time of a step over the rounds, and its ratio to the bare
loop's within the same round: median and quartiles.

The second table leaves forward and backward away: what a clip call with its record takes, on the same gradients, and
what cannot be undercut by anyone who looks at gradients once more: reading them.

wandb and Lightning take part if they are installed: pip install -c constraints.txt ".[benchmark]". wandb works
offline. gpt2, the size of GPT-2 small, is for CUDA. On a CPU that others use too, OMP_NUM_THREADS=1 helps: threads that
wait for one another wait for everyone else as well, which can take longer than all that is measured here.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from tests.benchmarks.contest import (
    Floats,
    alternate,
    duration,
    parser,
    print_machine,
    print_table,
    repeats_for,
    spread,
    timed,
)
from tests.benchmarks.contestants import BARE, Contestant, Make, clippers, contestants
from tests.benchmarks.models import MODELS, NEEDS_CUDA, PRECISIONS, Task

TRAIN_SECONDS, CLIP_SECONDS = 0.4, 0.3
"""How long a turn of the bare loop takes at least, about: long beside the flush at its end, and yet short beside the
moods of a machine that others use too."""


def enter(makes: dict[str, Make], task: Task, directory: Path) -> dict[str, Contestant]:
    """Contestants, each with a directory of its own."""
    return {name: make(task, directory / str(place)) for place, (name, make) in enumerate(makes.items())}


def compare_training(task: Task, makes: dict[str, Make], rounds: int, steps: int) -> None:
    """Print the table of training steps."""
    times = {name: np.empty(rounds) for name in makes}
    with tempfile.TemporaryDirectory() as directory:
        entered = enter(makes, task, Path(directory))
        for contestant in entered.values():
            contestant.prepare()
            contestant.train(3)
        turn = turn_length(steps, TRAIN_SECONDS / entered[BARE].train(10))
        turns = {
            # What happens at one step in fifty, or on its way to the disk once in a while, needs all steps.
            name: partial(contestant.train, max(1, turn // 5) if contestant.slow else turn)
            for name, contestant in entered.items()
        }
        for number in range(rounds):
            for contestant in entered.values():
                contestant.prepare()
            for name, parts in alternate(turns, steps // turn).items():
                times[name][number] = parts.mean()
        for contestant in entered.values():
            contestant.close()
    rows = [[name, duration(np.median(times[name])), spread(times[name] / times[BARE])] for name in makes]
    print_table(
        f"Training, {steps} steps a round, {turn} a turn:", ("contestant", "a step", "ratio to bare (quartiles)"), rows
    )


def turn_length(steps: int, least: float) -> int:
    """How many steps of a round to take in a turn: at least so many, if there are, and a whole number of turns."""
    return min(length for length in range(1, steps + 1) if steps % length == 0 and length >= min(least, steps))


def compare_clipping(task: Task, rounds: int) -> None:
    """Print the table of clip calls alone, in shares of a training step."""
    with tempfile.TemporaryDirectory() as directory:
        entered = enter(clippers(), task, Path(directory))
        bare = entered[BARE]
        step = float(np.median([bare.train(5) for _ in range(3)]))
        # In hundreds: every contestant gets as many histograms a turn as its interval says.
        calls = 100 * -(-round(CLIP_SECONDS / bare.clip_only(10)) // 100)
        turns = {name: partial(contestant.clip_only, calls) for name, contestant in entered.items()}
        times = alternate({**turns, **readers(bare)}, rounds)
        for contestant in entered.values():
            contestant.close()
    rows = [[name, duration(np.median(t)), spread(t / times[BARE]), share(t, step)] for name, t in times.items()]
    title = f"Clipping and recording alone, {calls} calls a turn; a bare training step takes {duration(step)}:"
    print_table(title, ("contestant", "a call", "ratio to bare (quartiles)", "share of a step"), rows)


def readers(bare: Contestant) -> dict[str, Callable[[], float]]:
    """Two ways to read every gradient once: as one flat piece of memory, and tensor by tensor."""
    grads = [parameter.grad for parameter in bare.model.parameters() if parameter.grad is not None]
    flat = torch.cat([grad.flatten() for grad in grads])

    def turns_of(work: Callable[[], object]) -> Callable[[], float]:
        repeats = repeats_for(work, 0.1)

        def several() -> None:
            for _ in range(repeats):
                work()
            bare.task.synchronize()

        bare.task.synchronize()
        return lambda: timed(several, 1) / repeats

    return {
        "floor: one read of as much memory": turns_of(flat.sum),
        "norms only: _foreach_norm": turns_of(lambda: torch._foreach_norm(grads)),
    }


def share(times: Floats, step: float) -> str:
    """As a percentage of a training step."""
    return f"{100 * np.median(times) / step:.2g} %"


def options() -> argparse.Namespace:
    """What the command line asks for."""
    cuda = torch.cuda.is_available()
    arguments = parser(__doc__)
    arguments.add_argument("--model", nargs="+", choices=MODELS, default=["lstm"])
    arguments.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if cuda else "cpu")
    arguments.add_argument("--precision", nargs="+", choices=PRECISIONS, default=["fp32"])
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--steps", type=int, default=50, help="steps a round, a multiple of 50")
    arguments.add_argument("--part", choices=("both", "train", "clip"), default="both", help="which of the two tables")
    given = arguments.parse_args()
    if given.device == "cuda" and not cuda:
        arguments.error("--device cuda: this PyTorch sees no CUDA device")
    if given.device == "cpu" and (beyond := NEEDS_CUDA.intersection(given.model)):
        arguments.error(f"--model {' '.join(beyond)}: too large for a CPU, needs --device cuda")
    return given


def main() -> None:
    """Run the contests and print their tables."""
    given = options()
    print_machine()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {given.rounds} rounds")
    makes = contestants() if given.part != "clip" else {}
    for model in given.model:
        for precision in given.precision:
            task = Task(model, torch.device(given.device), precision)
            print(f"\n{task}")
            if given.part != "clip":
                compare_training(task, makes, given.rounds, given.steps)
            if given.part != "train":
                compare_clipping(task, given.rounds)


if __name__ == "__main__":
    main()
