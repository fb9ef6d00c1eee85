"""The pipeline of dvc.yaml: which stages are stale and why, running them, and dvc.lock as DVC writes it."""
