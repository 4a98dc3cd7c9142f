"""Orders in Spark: files, buckets of customers, a survey of a DataFrame."""
