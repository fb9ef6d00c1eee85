"""The verbs that cross rooms: the only place where reading, deciding and acting meet."""
