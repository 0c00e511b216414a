"""The benches of scripts/bench: what is measured about discerna, in a way that anyone can repeat."""
