"""Names for runs that were given none: easy to say, and hard to mistake for another."""

from __future__ import annotations

import os

_FIRST = """
amber ample brave brisk calm clear clever deft eager early fair fleet fond frank fresh glad grand
happy hardy keen kind light lively lucid lucky merry mild neat noble proud quick quiet rapid ready
rosy round sharp shiny smart snug sober solid spry steady still sunny sure swift tidy trim true
vivid warm wise witty young zesty
""".split()  # noqa: SIM905 - words, not a list to read
_SECOND = """
ant auk bat bear bee boar calf carp cat clam cod colt crab crane crow deer dove duck eel elk emu
ewe fawn finch fox frog gnu goat gull hare hawk hen heron ibex ibis jay kite koi lark lion loon
lynx mink mole moth mule newt orca otter owl pony puma quail ram raven seal shrew skunk snail stoat
swan tern toad trout vole wasp whale wolf wren yak
""".split()  # noqa: SIM905


def run_name() -> str:
    """Such as ``brisk-otter-482``. Not from ``random``: a seeded script would repeat them."""
    a, b, c, d = os.urandom(4)
    return f"{_FIRST[a % len(_FIRST)]}-{_SECOND[b % len(_SECOND)]}-{(c << 8 | d) % 1000:03d}"
