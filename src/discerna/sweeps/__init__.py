"""Several jobs from one command line, each a process of its own."""
