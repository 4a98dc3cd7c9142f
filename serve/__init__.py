"""A model and orders in, forecasts out, and what people do with them."""
