"""Models under names, with versions and aliases: in plain files, or in MLflow's model registry."""
