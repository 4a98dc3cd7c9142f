"""Buy-till-you-die models: forecasts from fitted parameters."""
