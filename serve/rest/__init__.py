"""REST: the scorer behind HTTP, a thin transport with limits, tokens, metrics and logs."""
