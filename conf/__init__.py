"""The package discerna.conf: Hydra looks for YAML in a package only if it has this file."""
