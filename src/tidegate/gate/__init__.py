"""May the candidate ship? Evaluation rows in, a verdict with a stated error rate out."""
