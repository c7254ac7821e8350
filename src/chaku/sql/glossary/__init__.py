"""What the words of a company mean: a file of synonyms and metrics, and the questions that it answers by rule."""
