"""Training: the state of a run, the loop, sources of samples, and the programs that compute."""
