"""How good forecasts are: measures, scorecards, comparison, monitoring."""
