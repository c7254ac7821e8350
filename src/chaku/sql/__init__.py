"""Questions to SQL to rows."""
