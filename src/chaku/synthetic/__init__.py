"""Worlds made for rehearsals: programming exercises, and a shop with its database and questions."""
