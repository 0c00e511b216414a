"""One file per verb, each with run(settings) -> a result dataclass."""
