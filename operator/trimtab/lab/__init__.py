"""The lab: recordings replayed through Trimtab and its peers, on the same inputs, with one table at the end."""
