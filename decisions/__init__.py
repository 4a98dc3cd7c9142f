"""What forecasts are for: KPIs, economics, campaign lists, the report."""
