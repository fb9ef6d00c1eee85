"""The gateway's rooms: which bundle answers, batches of rows through it, and the protocols around it."""
