"""Reports of the lab: a table in the terminal, JSON, and a page of HTML; rows are plain dicts."""
