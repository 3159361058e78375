"""Files in the laboratory's folder: kept runs, the journal and tables of one's own."""
