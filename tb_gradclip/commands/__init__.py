"""Subcommands of `tb-gradclip`, one file each: `fill` gives its parser arguments, `carry_out` does it.

`cli` lists them, and imports only the one that was asked for.

- `run`          a training script, to record its clipping
- `report`       runs in the terminal, or as JSON
- `html_report`  the same command's `--out`: the dashboard in one file
- `check`        whether runs keep to limits, for CI of training code
- `import_logs`  runs made from logs that we did not write
- `doctor`       why the tab is missing or empty

What they share:

- `arguments`    types of arguments
- `found`        the runs of a directory, or why there are none
- `plain`        text that is safe to print, whatever runs are called
- `summary`      a run in a terminal: words and sparklines
- `limits`       limits that `check` holds a run to
- `baseline`     what `check` compares of two runs
- `finding`      something that `doctor` found
- `installation`, `recordings`, `servers`   where it looks: packages, logs, and every TensorBoard that runs
"""
