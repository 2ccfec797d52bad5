"""What must hold when something goes wrong, each shown by doing it: short forms in CI, long ones with `make soak`."""
