"""From a `forward` to a graph: symbols, tracing, and weights with the stores they lie in."""
