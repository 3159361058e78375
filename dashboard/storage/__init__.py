"""Files in the laboratory's folder: archived runs, the journal and a user's own tables."""
