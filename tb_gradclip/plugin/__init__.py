"""The TensorBoard tab.

- `loader`   what TensorBoard finds and starts; nothing in it may raise
- `routes`   HTTP, as `http_api.md` says
- `answers`  runs to the JSON and numbers that routes send
- `export`   every step of a range as CSV, a piece at a time
- `static`   the dashboard, built from `frontend/`
"""
