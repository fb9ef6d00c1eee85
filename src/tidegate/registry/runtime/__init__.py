"""Models that are not ONNX: each in a process of its own, with limits, that may die without harm to others."""
