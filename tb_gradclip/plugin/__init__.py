"""The TensorBoard tab.

- `loader`             what TensorBoard finds and starts; nothing in it may raise
- `routes`             HTTP, as `http_api.md` says
- `experiments`        whose runs are held: an address may have any experiment in it
- `shown`              what is shown of each run: what was recorded, an ordinary scalar as its loss, or both
- `answers`            recorded runs to the JSON and numbers that routes send
- `shown_answers`      the same of what is shown
- `histogram_answers`  histograms of many steps to the map of them
- `parameters`         windows and flights to what is sent of single parameters
- `what_if`            the answer about other thresholds, and what is kept of it
- `arguments`          what routes are asked for, checked
- `kept`               bodies of answers, for all who ask the same
- `limits`             what no answer exceeds
- `memory`             goes back to the system when it is freed
- `export`             every step of a range as CSV, a piece at a time
- `static`             the dashboard, built from `frontend/`
"""
