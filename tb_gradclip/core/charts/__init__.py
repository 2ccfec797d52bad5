"""Lines of charts over a step table that grows: whatever part of it is asked for, at the cost of what is new.

- `lines`          what a chart asks for
- `axis`           where rows lie on it
- `columns`        the number at every row, recorded or derived
- `extremes`       what stands out in every block of rows
- `outline`        what stands out in a long run, noted while it is recorded
- `outline_lines`  lines over that
- `outlined`       what a chart asks for, of a run that is known in outline
- `room`           what is kept of that for all runs together
- `heatmap`        parameters over steps, of windows
- `reduction`      fewer points that still show every extreme
"""
