"""hydra/sweeper=discerna_optuna: a search with Optuna in any Hydra application."""
