"""The report: forecasts and what they rest on, as one page that people want to open."""
