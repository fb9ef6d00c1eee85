"""What a project reads and writes: files and their hashes, the cache of objects, tables and their contract."""
