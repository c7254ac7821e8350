"""A question to SQL: the prompt, who writes, the grammar, and what is made of the samples."""
