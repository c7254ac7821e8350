"""What a user gets of a result: a sentence, a chart, and files."""
