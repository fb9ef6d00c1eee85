"""Moving traffic to a candidate step by step, and deciding at any moment whether to go on, back or through."""
