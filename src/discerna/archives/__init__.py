"""Archives that somebody else made: recognised by content, and unpacked without trusting a word of theirs."""
