"""Other programs that keep runs and models: MLflow, TensorBoard."""
