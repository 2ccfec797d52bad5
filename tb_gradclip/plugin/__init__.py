"""The TensorBoard tab.

- `loader`   what TensorBoard finds and starts; nothing in it may raise
- `routes`   HTTP, as `http_api.md` says
- `answers`  runs to the JSON and numbers that routes send
- `what_if`  the answer about other thresholds, and what is kept of it
- `histogram_answers`  histograms of many steps to the map of them
- `export`   every step of a range as CSV, a piece at a time
- `static`   the dashboard, built from `frontend/`
"""
