"""A training in somebody's own program: what logs it there, and what reads its log here."""
