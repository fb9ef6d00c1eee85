"""What is kept: the ledger of events, the prediction log, the names of files on disk."""
