"""Questions to SQL to rows: data and prompts to train on, scoring, asking a database of one's own."""
