"""Options that take several words, as some of DVC's do: `--targets a b c`."""

from collections.abc import Iterator, Mapping

import click

from tidegate.errors import UsageError


class Many(click.Command):
    """A command some of whose options, those that may be given repeatedly, take all words up to the next option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat such an option before each of its words."""
        names = {
            name for one in self.params if isinstance(one, click.Option) and one.multiple for name in one.opts
        }
        return super().parse_args(ctx, list(_spread(args, names)))


def pairs(words: tuple[str, ...], option: str) -> Mapping[str, str]:
    """`name=value` words as a mapping; UsageError for any other."""
    for word in words:
        if "=" not in word:
            raise UsageError(option, f"`{word}` found, expected name=value")
    return dict(word.split("=", 1) for word in words)


def _spread(args: list[str], names: set[str]) -> Iterator[str]:
    current, is_first = "", False
    for word in args:
        if word.startswith("-"):
            current, is_first = (word, True) if word in names else ("", False)
        elif current and not is_first:
            yield current
        else:
            is_first = False
        yield word
