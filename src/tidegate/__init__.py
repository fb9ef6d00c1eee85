"""Tidegate carries a model from a git commit to a live, watched service, and back."""

TYPE_CHECKING = False  # `typing` itself would cost more than all else that `tidegate --version` does
if TYPE_CHECKING:
    from tidegate.domain.predictor import Predictor

__all__ = ["Predictor", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """The public class, imported when it is asked for."""
    if name != "Predictor":
        raise AttributeError(f"module `tidegate` has no attribute `{name}`")
    from tidegate.domain.predictor import Predictor

    return Predictor
