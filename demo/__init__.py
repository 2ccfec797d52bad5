"""Gradient clipping on small tasks, each with and without it: what it does, where it helps and where it does not.

- `lstm`         PyTorch: a character LSTM on English text that diverges, and says so; by value and by global norm
- `depth`        PyTorch: exploding and vanishing gradients in a deep network; a higher learning rate with clipping
- `digits`       TensorFlow: a `GradientTape` loop with Adam on handwritten digits, by value and by norm
- `classifier`   Keras: `fit` with `clipnorm` and `clipvalue` on digits, or on MNIST
- `regression`   Keras: inputs raised to a power until the loss is NaN, beside `clipnorm` and `clipvalue`
- `convnet`      PyTorch: a convolutional network on digits or CIFAR-10, by value and by global norm

`python -m demo` trains them all and opens TensorBoard; `experiments` lists them, with what to look at in each. Each can
be run by itself too: `python -m demo.lstm runs`. The data come with Python and scikit-learn, and nothing is downloaded
unless `--data` asks for it.
"""
