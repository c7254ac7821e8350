"""Turn raw files into clean documents."""
