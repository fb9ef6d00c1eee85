"""The prediction log: one writer a file, many readers, and Parquet for what is done.

`entry`, `frames` and `files` are the format, `writer` appends, `reader` follows with cursors, `compaction` turns
segments into Parquet, `retention` keeps the folder within its limits, `query` asks in SQL.
"""

from tidegate.store.predictions.compaction import Compacted, compact
from tidegate.store.predictions.entry import Entry, entry_of, rows_of
from tidegate.store.predictions.query import Answered, Question, ask
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
from tidegate.store.predictions.redact import hidden_positions, redact
from tidegate.store.predictions.retention import Limits, Size, Trimmed, log_size, trim
from tidegate.store.predictions.rows import Search
from tidegate.store.predictions.views import Input
from tidegate.store.predictions.writer import Keeping, PredictionLog

__all__ = [
    "Answered", "Compacted", "Cursor", "Entry", "Input", "Keeping", "Limits", "PredictionLog", "Question", "Search",
    "Size", "Trimmed", "ask", "compact", "cursor_at", "damaged_segments", "entry_of", "find_predictions",
    "hidden_positions", "known_requests", "log_size", "read_labels", "read_predictions", "recent_predictions",
    "redact", "rows_of", "trim",
]  # fmt: skip
