"""A model in use: batch scoring, REST, Spark, MLflow."""
