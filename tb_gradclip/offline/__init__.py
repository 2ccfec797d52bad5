"""The dashboard in one file: what the tab would ask its server, asked beforehand.

- `provider`   event files as one of TensorBoard's data providers, without TensorBoard's loaders
- `questions`  the routes of the tab, asked without a server
- `numbers`    numbers as few bytes, with no more digits than anybody sees
- `package`    answers in one string of bytes, as the page takes them out again
- `budget`     how much of each run fits into a file of a given size
- `page`       the page around them
"""
