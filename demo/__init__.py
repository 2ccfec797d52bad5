"""Gradient clipping on three small tasks, each with and without it.

- `lstm`         PyTorch: a character LSTM on English text, by value and by global norm
- `digits`       TensorFlow: a `GradientTape` loop on handwritten digits, by value and by norm
- `regression`   Keras: `fit` on inputs of very uneven size, `clipvalue` and `clipnorm`

`python -m demo` trains them all and opens TensorBoard. Each file can be run by itself too: `python -m demo.lstm runs`.
The data come with Python and scikit-learn; nothing is downloaded.
"""
