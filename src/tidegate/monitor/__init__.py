"""Is live what was released? The prediction log against a frozen reference, labels against a promise."""
