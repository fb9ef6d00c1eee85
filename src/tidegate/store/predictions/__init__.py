"""The prediction log: one writer a file, many readers, and Parquet for what is done.

`frames` and `files` are the format, `writer` appends, `reader` follows with cursors, `compaction` turns segments
into Parquet and keeps the folder within its limits, `query` asks in SQL.
"""

from tidegate.store.predictions.compaction import Compacted, Limits, Size, Trimmed, compact, log_size, trim
from tidegate.store.predictions.query import Answered, Input, Question, ask
from tidegate.store.predictions.reader import (
    Cursor,
    cursor_at,
    damaged_segments,
    find_predictions,
    known_requests,
    read_labels,
    read_predictions,
    recent_predictions,
)
from tidegate.store.predictions.rows import Search
from tidegate.store.predictions.writer import Keeping, PredictionLog, hidden_positions, redact

__all__ = [
    "Answered", "Compacted", "Cursor", "Input", "Keeping", "Limits", "PredictionLog", "Question", "Search",
    "Size", "Trimmed", "ask", "compact", "cursor_at", "damaged_segments", "find_predictions",
    "hidden_positions", "known_requests", "log_size", "read_labels", "read_predictions", "recent_predictions",
    "redact", "trim",
]  # fmt: skip
